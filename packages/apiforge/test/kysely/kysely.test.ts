import type { Generated } from "kysely";
import { describe, expect, expectTypeOf, test } from "vitest";

import { createReader } from "../../src/durable/transaction.ts";
import { kyselyOf } from "../../src/kysely/index.ts";
import type { Migration, StoreTransaction } from "../../src/store/index.ts";
import { storeFixtures } from "../store/fixtures.ts";

interface Database {
  readonly books: {
    readonly id: Generated<number>;
    readonly title: string;
    readonly pages: number | null;
    readonly in_print: boolean | number;
  };
}

const books: Migration = {
  name: "books-0001",
  sqlite:
    "create table books (id integer primary key, title text not null unique, pages integer, in_print integer not null)",
  postgres:
    "create table books (id integer generated always as identity primary key, title text not null unique, pages integer, in_print boolean not null)",
};

function kysely(tx: StoreTransaction) {
  return kyselyOf<Database>(createReader(tx));
}

describe.each(storeFixtures)("Kysely on $name", (fixture) => {
  test("inserts, changes, reads and deletes in the transaction", async () => {
    await using opened = await fixture.open({ migrations: [books] });
    const { value } = await opened.store.transact("books", async (tx) => {
      const db = kysely(tx);
      const inserted = await db
        .insertInto("books")
        .values([
          { title: "Ulysses", pages: 730, in_print: true },
          { title: "Dubliners", pages: null, in_print: false },
        ])
        .returning("title")
        .execute();
      const updated = await db
        .updateTable("books")
        .set({ pages: 152 })
        .where("title", "=", "Dubliners")
        .executeTakeFirst();
      const titles = await db
        .selectFrom("books")
        .select(["title", "pages"])
        .orderBy("pages")
        .execute();
      const deleted = await db.deleteFrom("books").where("pages", ">", 700).executeTakeFirst();
      return { inserted, updated: updated.numUpdatedRows, titles, deleted: deleted.numDeletedRows };
    });
    expectTypeOf(value.titles).toEqualTypeOf<{ title: string; pages: number | null }[]>();
    expect(value).toEqual({
      inserted: [{ title: "Ulysses" }, { title: "Dubliners" }],
      updated: 1n,
      titles: [
        { title: "Dubliners", pages: 152 },
        { title: "Ulysses", pages: 730 },
      ],
      deleted: 1n,
    });
  });

  test("rolls back with the transaction", async () => {
    await using opened = await fixture.open({ migrations: [books] });
    const failing = opened.store.transact("books", async (tx) => {
      await kysely(tx).insertInto("books").values({ title: "Emma", in_print: true }).execute();
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    const rows = await opened.store.read("books", (runner) =>
      kyselyOf<Database>(createReader(runner)).selectFrom("books").selectAll().execute(),
    );
    expect(rows).toEqual([]);
  });

  test("has no transactions and no streams of its own", async () => {
    await using opened = await fixture.open({ migrations: [books] });
    await opened.store.transact("books", async (tx) => {
      const db = kysely(tx);
      await expect(db.transaction().execute(async () => undefined)).rejects.toThrow(
        "part of one APIForge transaction",
      );
      await expect(db.selectFrom("books").selectAll().stream().next()).rejects.toThrow(
        "select a page",
      );
    });
  });

  test("refuses values that would be bound wrongly", async () => {
    await using opened = await fixture.open({ migrations: [books] });
    const failing = opened.store.transact("books", async (tx) => {
      const title: unknown = { json: true };
      await kysely(tx)
        .insertInto("books")
        .values({ title: title as string, in_print: 1 })
        .execute();
    });
    await expect(failing).rejects.toThrow("write JSON with JSON.stringify");
  });
});
