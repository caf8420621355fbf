import { describe, expect, test } from "vitest";
import type { Migration } from "apiforge/internal/store";
import { contractTables, type StoreFixture } from "./fixture.ts";
import { statement } from "./samples.ts";

function migration(name: string, sql: string): Migration {
  return { name, sqlite: sql, postgres: sql };
}

const people = migration("0001-people", "create table person (id integer primary key)");
const pets = migration(
  "0002-pets",
  "create table pet (id integer primary key, owner integer references person (id))",
);

/** The application's tables: applied once, in order, all or nothing. */
export function migrationsContract(fixture: StoreFixture): void {
  describe("migrations", () => {
    test("of the application come after ours", async () => {
      const afterOurs = migration(
        "0001-after",
        "create table copy as select * from forge_jobs where 1 = 0",
      );
      await using open = await fixture.open({ migrations: [afterOurs] });
      const rows = await open.store.read("copy", (reader) =>
        reader.query(statement`select id from copy`),
      );
      expect(rows).toEqual([]);
    });

    test("run in the order of their list", async () => {
      await using open = await fixture.open({ migrations: [people, pets] });
      await open.store.transact("use", async (tx) => {
        await tx.query(statement`insert into person (id) values (${1})`);
        await tx.query(statement`insert into pet (id, owner) values (${1}, ${1})`);
        expect(await tx.query(statement`select owner from pet`)).toEqual([{ owner: 1 }]);
      });
    });

    test("that fail name no SQL and leave no store", async () => {
      const broken = migration("0001-broken", "create table half (a integer); create nonsense");
      const opening = fixture.open({ migrations: [broken] });
      const error: unknown = await opening.catch((error: unknown) => error);
      expect(error).toMatchObject({ code: "store_query_failed" });
      expect((error as Error).message).not.toMatch(/nonsense/);
    });

    if (!fixture.persistent) return;
    // What follows opens the same data twice, which a store in memory cannot.

    test("are applied once", async () => {
      const counted = migration(
        "0001-counted",
        "create table seen (n integer); insert into seen (n) values (1)",
      );
      await using open = await fixture.open({ migrations: [counted] });
      await open.reopen({ migrations: [counted] });
      await open.reopen({ migrations: [counted] });
      const rows = await open.store.read("seen", (reader) =>
        reader.query(statement`select n from seen`),
      );
      expect(rows).toEqual([{ n: 1 }]);
    });

    test("may be added later, and old data stay", async () => {
      await using open = await fixture.open({ migrations: [people] });
      await open.store.transact("use", (tx) =>
        tx.query(statement`insert into person (id) values (${7})`),
      );
      await open.reopen({ migrations: [people, pets] });
      await open.store.transact("use", async (tx) => {
        await tx.query(statement`insert into pet (id, owner) values (${1}, ${7})`);
        expect(await tx.query(statement`select id from person`)).toEqual([{ id: 7 }]);
      });
    });

    test("that were edited after they ran are refused by name", async () => {
      await using open = await fixture.open({ migrations: [people] });
      const edited = { ...people, sqlite: `${people.sqlite} `, postgres: `${people.postgres} ` };
      const reopening = open.reopen({ migrations: [edited] });
      await expect(reopening).rejects.toMatchObject({ code: "migration_changed" });
      await expect(reopening).rejects.toThrow("0001-people");
      await open.reopen({ migrations: [people] });
      await expect(open.store.check()).resolves.toBeUndefined();
    });

    test("that fail leave nothing of themselves, and what ran before them stays", async () => {
      await using open = await fixture.open({ migrations: [people] });
      const broken = migration("0003-broken", "create table half (a integer); create nonsense");
      const reopening = open.reopen({ migrations: [people, pets, broken] });
      await expect(reopening).rejects.toMatchObject({ code: "store_query_failed" });
      const mended = migration("0003-broken", "create table half (a integer)");
      await open.reopen({ migrations: [people, pets, mended] });
      await open.store.transact("use", (tx) =>
        tx.query(statement`insert into half (a) values (${1})`),
      );
    });

    test("keep the application's rows over a restart", async () => {
      await using open = await fixture.open({ migrations: [contractTables] });
      await open.store.transact("write", (tx) =>
        tx.query(statement`insert into note (id, body) values (${"a"}, ${"b"})`),
      );
      await open.reopen({ migrations: [contractTables] });
      const rows = await open.store.read("read", (reader) =>
        reader.query(statement`select id, body from note`),
      );
      expect(rows).toEqual([{ id: "a", body: "b" }]);
    });
  });
}
