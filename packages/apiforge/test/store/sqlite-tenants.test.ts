import { recordingLog } from "@apiforge/testing";
import { expect, test } from "vitest";

import type { Migration, SqlRunner } from "../../src/store/index.ts";
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

test("a read that has moved to a thread sees its tenant's rows", async () => {
  const log = recordingLog();
  await using opened = await openSqliteFile({ migrations, log });
  const { store } = opened;
  const slow = `with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000000)
    select count(*) from n`;
  await store.read("cards", (reader) => reader.queryText(slow, []));
  expect(log.entries.map(({ message }) => message).join()).toContain(
    "from now on it runs in a thread",
  );
  expect(await store.read("cards", ids, "ten_1")).toEqual(["a"]);
  expect(await store.read("cards", ids, "ten_2")).toEqual(["b"]);
  expect(await store.read("cards", ids)).toEqual([]);
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
