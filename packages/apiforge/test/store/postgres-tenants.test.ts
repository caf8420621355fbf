import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test, vi } from "vitest";

import type { Migration, SqlRunner } from "../../src/store/index.ts";
import { PostgresConnection } from "../../src/store/postgres/connection.ts";
import {
  digestOf,
  eventOf,
  newDatabase,
  openNode,
  rawClient,
  statement,
} from "./postgres-harness.ts";

const table = `create table card (tenant text, id text, primary key (tenant, id));
  insert into card (tenant, id) values ('ten_1', 'a'), ('ten_2', 'b')`;
const cards: Migration = {
  name: "0001-cards",
  sqlite: table,
  postgres: table,
  tenantTables: ["card"],
};
const plain: Migration = { name: "0001-cards", sqlite: table, postgres: table };

async function ids(runner: SqlRunner): Promise<unknown[]> {
  return (await runner.query(statement`select id from card order by id`)).map((row) => row["id"]);
}

/** A login of its own on a new database that it owns. */
async function newLogin(rights: string): Promise<{ url: string; adminUrl: string }> {
  const database = await newDatabase();
  const name = `login_${randomBytes(6).toString("hex")}`;
  const admin = await rawClient(database.url);
  await admin.query(`create role ${name} login password 'secret' ${rights}`);
  await admin.query(`alter database ${database.name} owner to ${name}`);
  await admin.query(`alter schema public owner to ${name}`);
  onTestFinished(async () => {
    await admin.query(`drop owned by ${name} cascade`);
    await admin.query(`alter database ${database.name} owner to current_user`);
    await admin.query(`drop role ${name}`);
  });
  const url = new URL(database.url);
  url.username = name;
  url.password = "secret";
  return { url: url.href, adminUrl: database.url };
}

describe("a login that is the owner and no superuser", () => {
  test("is held by the policies, and needs no other role", async () => {
    const { url } = await newLogin("nosuperuser nocreaterole");
    const store = await openNode(url, { migrations: [cards] });
    expect(await store.read("ids", ids, "ten_1")).toEqual(["a"]);
    expect(await store.read("ids", ids)).toEqual([]);
    await store.transact("as itself", async (tx) => {
      tx.actFor("ten_2");
      expect(await ids(tx)).toEqual(["b"]);
      const [user] = await tx.query(statement`select current_user = session_user as same`);
      expect(user).toEqual({ same: true });
    });
    const raw = await rawClient(url);
    expect((await raw.query("select id from card")).rows).toEqual([]);
  });
});

describe("a login with BYPASSRLS", () => {
  test("that may make the role is held through it", async () => {
    const { url } = await newLogin("nosuperuser bypassrls createrole");
    const admin = await rawClient(url);
    // Another database of the server may have made the role as somebody else.
    const made = await admin.query("select from pg_roles where rolname = 'apiforge_tenant'");
    if (made.rows.length > 0) {
      const owner = await rawClient((await newDatabase()).url);
      await owner.query(`grant apiforge_tenant to ${new URL(url).username}`);
    }
    const store = await openNode(url, { migrations: [cards] });
    expect(await store.read("ids", ids, "ten_2")).toEqual(["b"]);
    expect(await store.read("ids", ids)).toEqual([]);
  });

  test("that may not is told what to do", async () => {
    const { url } = await newLogin("nosuperuser bypassrls nocreaterole");
    const opening = openNode(url, { migrations: [cards] });
    await expect(opening).rejects.toMatchObject({ code: "store_misconfigured" });
    await expect(opening).rejects.toThrow("Use a login without SUPERUSER and BYPASSRLS");
  });
});

describe("the guard", () => {
  test("costs no round trip", async () => {
    async function roundTrips(migration: Migration): Promise<{ write: number; read: number }> {
      const store = await openNode((await newDatabase()).url, { migrations: [migration] });
      const send = vi.spyOn(PostgresConnection.prototype, "send");
      await store.transact("write", async (tx) => {
        await tx.claimKey(digestOf("k"));
        tx.actFor("ten_1");
        await ids(tx);
        await tx.query(statement`insert into card (tenant, id) values ('ten_1', 'c')`);
        tx.appendEvent(eventOf("evt_1"));
      });
      const write = send.mock.calls.length;
      await store.read("read", ids, "ten_1");
      return { write, read: send.mock.calls.length - write };
    }
    const guarded = await roundTrips(cards);
    vi.restoreAllMocks();
    expect(guarded).toEqual(await roundTrips(plain));
  });

  test.for([
    "reset role",
    " /* so */ set local role none",
    "set forge.tenant = 'ten_2'",
    "select set_config('role', 'none', true)",
    "select * from card where tenant = current_setting('forge.tenant')",
    "discard all",
  ])("cannot be lifted by a handler's statement: %s", async (text) => {
    const store = await openNode((await newDatabase()).url, { migrations: [cards] });
    const refusal = /cannot change settings/;
    const write = store.transact("lift", async (tx) => {
      tx.actFor("ten_1");
      await tx.queryText(text, []);
    });
    await expect(write).rejects.toThrow(refusal);
    const read = store.read("lift", (reader) => reader.queryText(text, []), "ten_1");
    await expect(read).rejects.toThrow(refusal);
  });

  test("leaves columns alone that are called like settings", async () => {
    const migration = { ...cards, postgres: `${cards.postgres}; create table seat (role text)` };
    const store = await openNode((await newDatabase()).url, { migrations: [migration] });
    await store.transact("update", (tx) => tx.query(statement`update seat set role = ${"admin"}`));
    expect(
      await store.read("seats", (reader) => reader.query(statement`select role from seat`)),
    ).toEqual([]);
  });

  test("is not there for an application without tenant tables", async () => {
    const store = await openNode((await newDatabase()).url, { migrations: [plain] });
    const send = vi.spyOn(PostgresConnection.prototype, "send");
    await store.read("read", ids, "ten_1");
    const texts = send.mock.calls.flatMap(([commands]) => commands.map(({ text }) => text));
    expect(texts.join()).not.toContain("set_config");
  });

  test("opens with many nodes at once", async () => {
    const { url } = await newDatabase();
    const stores = await Promise.all(
      Array.from({ length: 4 }, () => openNode(url, { migrations: [cards] })),
    );
    for (const store of stores) expect(await store.read("ids", ids, "ten_1")).toEqual(["a"]);
  });
});
