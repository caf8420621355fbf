import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, openRaw, storeNames, type TestDatabase } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { createForge, type Forge, type Transaction } from "apiforge";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { clinicMigrations } from "../src/migrations.ts";

const tables = ["patients", "appointments", "appointment_slots", "daily_bookings"];

/** What is behind the routes: SQL whose author forgot the condition on the practice. */
describe.for(storeNames)("SQL without a condition, %s", (store) => {
  let forge: Forge;
  let database: TestDatabase | undefined;
  const dataDir = mkdtempSync(join(tmpdir(), "apiforge-clinic-"));

  beforeAll(async () => {
    if (store === "postgres") database = await createDatabase(postgresUrl());
    forge = await createForge(
      { migrations: clinicMigrations },
      { config: { dataDir, databaseUrl: database?.url, jobConcurrency: 0, logLevel: "silent" } },
    );
    await as("practice_p001", async (tx) => tx.audit({ action: "patient_read", subject: "u" }));
  });

  afterAll(async () => {
    await forge.stop();
    await database?.drop();
    rmSync(dataDir, { recursive: true });
  });

  function as<T>(tenant: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return forge.durable.transact("test", { tenant, requestId: "req_test" }, work);
  }

  const patientIds = ({ sql }: Pick<Transaction, "sql">) =>
    sql<{ id: string }>`select id from patients order by id`.then((rows) =>
      rows.map((row) => row.id),
    );

  test("sees the practice's own patients in a transaction and in a read", async () => {
    expect(await as("practice_p001", patientIds)).toEqual(["pat_12345", "pat_789"]);
    expect(await as("practice_p002", patientIds)).toEqual(["pat_20001"]);
    expect(await forge.durable.read("test", patientIds, "practice_p002")).toEqual(["pat_20001"]);
  });

  test("sees none for a stranger and for nobody", async () => {
    expect(await as("ten_stranger", patientIds)).toEqual([]);
    expect(await forge.durable.read("test", patientIds)).toEqual([]);
  });

  test("changes no other practice's patient", async () => {
    await as("practice_p001", ({ sql }) => sql`update patients set last_name = last_name || '!'`);
    await as(
      "practice_p001",
      ({ sql }) => sql`update patients set last_name = 'x' where id = 'pat_20001'`,
    );
    const [theirs] = await as(
      "practice_p002",
      ({ sql }) => sql<{ last_name: string }>`select last_name from patients`,
    );
    expect(theirs?.last_name).toBe("Duarte");
  });

  test.for(["update forge_audit set subject = 'nobody'", "delete from forge_audit"])(
    "takes nothing from the audit log: %s",
    async (text) => {
      const meddling = as("practice_p001", ({ runner }) => runner.queryText(text, []));
      await expect(meddling).rejects.toMatchObject({ code: "store_query_failed" });
      const lines = await as(
        "practice_p001",
        ({ sql }) => sql<{ subject: string }>`select subject from forge_audit`,
      );
      expect(lines).toEqual([{ subject: "u" }]);
    },
  );

  if (store === "postgres") {
    test("on a connection of its own sees no row until it says for whom", async () => {
      await using raw = await openRaw(database?.url ?? "");
      // What the server switches to; the superuser of the tests passes over every policy.
      await raw.all("set role apiforge_tenant");
      for (const table of tables) expect(await raw.all(`select * from ${table}`)).toEqual([]);
      await raw.all("select set_config('forge.tenant', 'practice_p002', false)");
      expect(await raw.all("select id from patients")).toEqual([{ id: "pat_20001" }]);
      const planted = raw.all(
        "insert into daily_bookings (tenant, day, bookings) values ('practice_p001', 'x', 1)",
      );
      await expect(planted).rejects.toThrow("row-level security");
    });

    test("truncating the audit log is refused to the superuser too", async () => {
      await using raw = await openRaw(database?.url ?? "");
      await expect(raw.all("truncate forge_audit")).rejects.toThrow("takes no changes");
    });
  } else {
    test.for(tables)("cannot name the table behind %s", async (table) => {
      const text = `select * from "${table}_of_all_tenants"`;
      const peeking = as("practice_p001", ({ runner }) => runner.queryText(text, []));
      await expect(peeking).rejects.toThrow("leave that ending out");
    });
  }
});
