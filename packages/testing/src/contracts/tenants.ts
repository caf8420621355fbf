import { expect, test } from "vitest";
import type { Migration, SqlRunner, Store } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";
import { digestOf, sampleEvent, sampleJob, sampleRecord, statement } from "./samples.ts";

const table = `create table card (
  tenant text not null, id text not null, body text not null, primary key (tenant, id)
);
insert into card (tenant, id, body) values ('ten_1', 'a', 'mine'), ('ten_2', 'b', 'theirs')`;

const cards: Migration = {
  name: "0001-cards",
  sqlite: table,
  postgres: table,
  tenantTables: ["card"],
};

async function bodies(runner: SqlRunner): Promise<unknown[]> {
  // No condition on the tenant: what a handler's author may forget.
  const rows = await runner.query(statement`select body from card order by id`);
  return rows.map((row) => row["body"]);
}

function seenBy(store: Store, tenant?: string): Promise<unknown[]> {
  return store.read("cards", bodies, tenant);
}

/** Runs one statement for a tenant. */
async function runFor(store: Store, tenant: string, text: string): Promise<void> {
  await store.transact("for a tenant", async (tx) => {
    tx.actFor(tenant);
    await tx.queryText(text, []);
  });
}

/** Rows of tenant tables: {@link Migration.tenantTables}. */
export function tenantsContract(fixture: StoreFixture): void {
  const open = () => fixture.open({ migrations: [cards] });

  test("a read sees the rows of its tenant, without one none", async () => {
    await using opened = await open();
    const { store } = opened;
    expect(await seenBy(store, "ten_1")).toEqual(["mine"]);
    expect(await seenBy(store, "ten_2")).toEqual(["theirs"]);
    expect(await seenBy(store, "ten_3")).toEqual([]);
    expect(await seenBy(store)).toEqual([]);
  });

  test("a transaction sees none until it acts for a tenant, and can change tenants", async () => {
    await using opened = await open();
    await opened.store.transact("two tenants", async (tx) => {
      expect(await bodies(tx)).toEqual([]);
      tx.actFor("ten_2");
      expect(await bodies(tx)).toEqual(["theirs"]);
      tx.actFor("ten_1");
      expect(await bodies(tx)).toEqual(["mine"]);
    });
  });

  test("what a tenant writes stays with it", async () => {
    await using opened = await open();
    const { store } = opened;
    await runFor(
      store,
      "ten_1",
      "insert into card (tenant, id, body) values ('ten_1', 'c', 'new')",
    );
    await runFor(store, "ten_1", "update card set body = 'changed'");
    expect(await seenBy(store, "ten_1")).toEqual(["changed", "changed"]);
    expect(await seenBy(store, "ten_2")).toEqual(["theirs"]);
    await runFor(store, "ten_1", "delete from card");
    expect(await seenBy(store, "ten_1")).toEqual([]);
    expect(await seenBy(store, "ten_2")).toEqual(["theirs"]);
  });

  test("a statement answers what it changed by returning", async () => {
    await using opened = await open();
    await opened.store.transact("returning", async (tx) => {
      tx.actFor("ten_1");
      const changed = await tx.queryText("update card set body = 'x' returning id, body", []);
      expect(changed).toEqual({ rows: [{ id: "a", body: "x" }], changes: 1 });
    });
  });

  test.for([
    "insert into card (tenant, id, body) values ('ten_2', 'c', 'planted')",
    "update card set tenant = 'ten_2'",
  ])("a row of another tenant is refused: %s", async (text) => {
    await using opened = await open();
    const refused = runFor(opened.store, "ten_1", text);
    await expect(refused).rejects.toMatchObject({ code: "store_query_failed", status: 500 });
    expect(await seenBy(opened.store, "ten_1")).toEqual(["mine"]);
    expect(await seenBy(opened.store, "ten_2")).toEqual(["theirs"]);
  });

  test("whoever acts for nobody writes nothing", async () => {
    await using opened = await open();
    const { store } = opened;
    const insert = "insert into card (tenant, id, body) values ('ten_1', 'c', 'planted')";
    const refused = store.transact("for nobody", (tx) => tx.queryText(insert, []));
    await expect(refused).rejects.toMatchObject({ code: "store_query_failed" });
    await store.transact("for nobody", (tx) => tx.queryText("delete from card", []));
    expect(await seenBy(store, "ten_1")).toEqual(["mine"]);
  });

  test("a key that is taken says so", async () => {
    await using opened = await open();
    const insert = "insert into card (tenant, id, body) values ('ten_1', 'a', 'again')";
    const refused = runFor(opened.store, "ten_1", insert);
    await expect(refused).rejects.toMatchObject({ code: "unique_violation", status: 409 });
  });

  test("the store's own part of the commit is written as in any other", async () => {
    await using opened = await open();
    const { store } = opened;
    const insert = "insert into card (tenant, id, body) values ('ten_1', 'c', 'new')";
    const { seq } = await store.transact("all parts", async (tx) => {
      expect(await tx.claimKey(digestOf("k"))).toEqual({ outcome: "free" });
      tx.actFor("ten_1");
      await tx.queryText(insert, []);
      await tx.insertUniqueJob(sampleJob({ id: "job_unique", dedupeKey: "d" }));
      expect(await bodies(tx)).toEqual(["mine", "new"]);
      tx.insertJob(sampleJob({ id: "job_plain" }));
      tx.appendEvent(sampleEvent());
      tx.recordAnswer(sampleRecord("k"));
    });
    expect(seq).toBe(1);
    expect(await store.jobs.find("job_unique")).toBeDefined();
    expect(await store.jobs.find("job_plain")).toBeDefined();
    expect(await store.idempotency.find(digestOf("k"))).toMatchObject({ seq: 1 });
    expect(await seenBy(store, "ten_1")).toEqual(["mine", "new"]);
  });

  test("one transaction's tenant is none of the next one's", async () => {
    await using opened = await open();
    const { store } = opened;
    // More than there are connections, so that each has been used before.
    for (let round = 0; round < 12; round += 1) {
      await runFor(store, "ten_1", "select 1 from card");
      await store.transact("for nobody", async (tx) => {
        expect(await bodies(tx)).toEqual([]);
      });
    }
  });

  test("`on conflict` works where the store says so", async () => {
    await using opened = await open();
    const { store } = opened;
    const upsert = `insert into card (tenant, id, body) values ('ten_1', 'a', 'upserted')
      on conflict (tenant, id) do update set body = excluded.body`;
    const upserted = runFor(store, "ten_1", upsert).then(
      () => true,
      () => false,
    );
    expect(await upserted).toBe(store.capabilities.tenantTablesUpsert);
  });

  test("a name that would need quotes is refused", async () => {
    const odd = { ...cards, tenantTables: ["Card; drop table card"] };
    await expect(fixture.open({ migrations: [odd] })).rejects.toThrow("cannot be a tenant table");
  });

  if (!fixture.persistent) return;

  test("tables are guarded in the next process as before", async () => {
    await using opened = await open();
    await opened.reopen({ migrations: [cards] });
    expect(await seenBy(opened.store, "ten_1")).toEqual(["mine"]);
    expect(await seenBy(opened.store)).toEqual([]);
  });
}
