import { expect, test } from "vitest";

import { silentLog } from "../../src/kernel/index.ts";
import type { Migration, SqlRunner } from "../../src/store/index.ts";
import { ReadThreads } from "../../src/store/sqlite/read-threads.ts";
import { openSqliteFile } from "./sqlite-fixture.ts";

const table = `
  create table box (tenant text not null, id text not null, primary key (tenant, id));
  create table card (
    tenant text not null, id text not null, box text not null, primary key (tenant, id),
    foreign key (tenant, box) references box (tenant, id)
  );
  insert into box (tenant, id) values ('ten_1', 'x'), ('ten_2', 'y');
  insert into card (tenant, id, box) values ('ten_1', 'a', 'x'), ('ten_2', 'b', 'y')`;

function migration(sql: string, tenantTables: readonly string[]): Migration {
  return { name: "0001-cards", sqlite: sql, postgres: sql, tenantTables };
}

const migrations = [migration(table, ["box", "card"])];

async function ids(runner: SqlRunner): Promise<unknown[]> {
  const { rows } = await runner.queryText("select id from card", []);
  return rows.map((row) => row["id"]);
}

test("a read in a thread sees its tenant's rows", async () => {
  await using opened = await openSqliteFile({ migrations });
  const limit = { clock: opened.clock, log: silentLog, transactionLimitMs: 5_000 };
  const threads = new ReadThreads(opened.path, limit);
  const thread = await threads.take();
  for (const [tenant, seen] of [
    ["ten_1", ["a"]],
    ["ten_2", ["b"]],
    [undefined, []],
  ] as const) {
    thread.begin(tenant);
    expect(await ids(thread)).toEqual(seen);
    thread.end();
  }
  threads.giveBack(thread);
  await threads.close();
});

test.for([
  "select * from card_of_all_tenants",
  'select * from "CARD_of_all_tenants"',
  "with card as (select * from [card_of_all_tenants]) select * from card",
  "select * from main.card_of_all_tenants/**/",
  "delete from card_of_all_tenants",
])("the table behind cannot be named: %s", async (text) => {
  await using opened = await openSqliteFile({ migrations });
  const { store } = opened;
  const read = store.read("peek", (reader) => reader.queryText(text, []), "ten_1");
  await expect(read).rejects.toThrow("leave that ending out");
  const write = store.transact("peek", async (tx) => {
    tx.actFor("ten_1");
    await tx.queryText(text, []);
  });
  await expect(write).rejects.toMatchObject({ code: "store_query_failed" });
});

test("foreign keys between tenant tables hold", async () => {
  await using opened = await openSqliteFile({ migrations });
  const orphan = opened.store.transact("orphan", async (tx) => {
    tx.actFor("ten_1");
    await tx.queryText("insert into card (tenant, id, box) values ('ten_1', 'c', 'y')", []);
  });
  await expect(orphan).rejects.toMatchObject({ code: "store_query_failed" });
});

test.for([
  ["no column tenant", "create table card (id text primary key)"],
  ["no primary key", "create table card (tenant text)"],
] as const)("a table with %s cannot be one", async ([, sql]) => {
  const opening = openSqliteFile({ migrations: [migration(sql, ["card"])] });
  await expect(opening).rejects.toMatchObject({
    code: "store_misconfigured",
    message: expect.stringContaining("card needs a column tenant and a primary key"),
  });
});
