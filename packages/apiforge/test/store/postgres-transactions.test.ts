import { until } from "@apiforge/testing";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { createDurable, defineEvent } from "../../src/durable/index.ts";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { command } from "../../src/store/postgres/command.ts";
import { PostgresConnection } from "../../src/store/postgres/connection.ts";
import { loadDriver } from "../../src/store/postgres/driver.ts";
import { ConnectionPool } from "../../src/store/postgres/pool.ts";
import {
  digestOf,
  eventOf,
  jobOf,
  newDatabase,
  noteIds,
  openNode,
  rawClient,
  statement,
  terminate,
} from "./postgres-harness.ts";

const insertNote = (id: string) => statement`insert into note (id) values (${id})`;

describe("a failed statement", () => {
  test("reaches the handler with the driver's error, which he can answer by throwing", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    await store.transact("first", (tx) => tx.query(insertNote("a")));
    const taken = new Error("409");
    const second = store.transact("second", async (tx) => {
      await tx.query(insertNote("b"));
      await tx.query(insertNote("a")).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "unique_violation", cause: { code: "23505" } });
        throw taken;
      });
    });
    await expect(second).rejects.toBe(taken);
    expect(await noteIds(await rawClient(database.url))).toEqual(["a"]);
  });

  test("that is swallowed fails the rest and the commit", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const later: unknown[] = [];
    const unit = store.transact("swallows", async (tx) => {
      await tx.query(insertNote("a"));
      await tx.query(statement`select 1 / ${0}::int`).catch(() => undefined);
      await tx.query(insertNote("b")).catch((error: unknown) => later.push(error));
      tx.appendEvent(eventOf("e"));
    });
    await expect(unit).rejects.toMatchObject({
      code: "store_query_failed",
      cause: { code: "22012" },
    });
    expect(later).toMatchObject([
      { code: "store_query_failed", cause: { cause: { code: "22012" } } },
    ]);
    expect(await noteIds(await rawClient(database.url))).toEqual([]);
    expect(await store.events.read(0, 10)).toEqual([]);
  });

  test("that nobody waits for fails the commit and not the process", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const unit = store.transact("hurries", async (tx) => {
      await tx.query(insertNote("a"));
      void tx.query(statement`select 1 / ${0}::int`);
    });
    await expect(unit).rejects.toMatchObject({ cause: { code: "22012" } });
    expect(await noteIds(await rawClient(database.url))).toEqual([]);
  });

  test.for(["40001", "40P01"])("of %s is a conflict that can be tried again", async (state) => {
    const store = await openNode((await newDatabase()).url);
    const unit = store.transact("conflicts", (tx) =>
      tx.queryText(`do $$ begin raise exception using errcode = '${state}'; end $$`, []),
    );
    await expect(unit).rejects.toMatchObject({ code: "transaction_conflict", retryable: true });
  });

  test("that wants data from the client fails, and its connection stays in order", async () => {
    const store = await openNode((await newDatabase()).url, { poolSize: 1 });
    const unit = store.transact("copy", (tx) => tx.queryText("copy note from stdin", []));
    await expect(unit).rejects.toMatchObject({ cause: { message: /COPY from stdin failed/ } });
    await store.transact("next", (tx) => tx.query(insertNote("a")));
  });

  test("at COMMIT undoes everything", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url, {
      migrations: [
        {
          name: "0001-pairs",
          sqlite: "",
          postgres: `create table note (id text primary key);
            create table pair (id text references note deferrable initially deferred)`,
        },
      ],
    });
    const unit = store.transact("defers", async (tx) => {
      await tx.query(statement`insert into pair (id) values (${"nobody"})`);
      tx.appendEvent(eventOf("e"));
    });
    await expect(unit).rejects.toMatchObject({
      code: "store_query_failed",
      cause: { code: "23503" },
    });
    await store.transact("next", (tx) => tx.query(insertNote("a")));
    expect(await store.events.read(0, 10)).toEqual([]);
    expect(await noteIds(await rawClient(database.url))).toEqual(["a"]);
  });
});

test("a COMMIT that PostgreSQL answers by a rollback is an error", async () => {
  const database = await newDatabase();
  const driver = await loadDriver();
  const options = {
    url: database.url,
    transactionLimitMs: 1_500,
    clock: systemClock,
    log: silentLog,
  };
  const pool = new ConnectionPool(driver, options, () => undefined);
  const unit = pool.use("raw", async (connection) => {
    await connection.send([command("begin")]);
    await connection.send([command("select 1 / 0")]).catch(() => undefined);
    await connection.commit([command("commit")]);
  });
  await expect(unit).rejects.toMatchObject({
    code: "store_query_failed",
    message: /rolled .* back/,
  });
  await pool.close();
});

test("a statement whose table was altered meanwhile works at the next try", async () => {
  const database = await newDatabase();
  const store = await openNode(database.url, { poolSize: 1 });
  const raw = await rawClient(database.url);
  const all = () => store.transact("all", (tx) => tx.query(statement`select * from note`));
  await all();
  await raw.query("alter table note add column colour text");
  await expect(all()).rejects.toMatchObject({ code: "transaction_conflict", retryable: true });
  expect((await all()).value).toEqual([]);
  await raw.query("insert into note (id, colour) values ('a', 'red')");
  expect((await all()).value).toEqual([{ id: "a", body: "", colour: "red" }]);
});

test("a 64-bit integer is a number, or a bigint where a number would lie", async () => {
  const store = await openNode((await newDatabase()).url);
  const [row] = await store.read("integers", (reader) =>
    reader.query(
      statement`select 9007199254740991::bigint as safe, 9007199254740993::bigint as big`,
    ),
  );
  expect(row).toEqual({ safe: 9_007_199_254_740_991, big: 9_007_199_254_740_993n });
});

test("a commit that fails without anything before it leaves its connection in order", async () => {
  const store = await openNode((await newDatabase()).url, { poolSize: 1 });
  const record = () =>
    store.transact("record only", async (tx) => {
      tx.recordAnswer({
        digest: digestOf("k"),
        fingerprint: digestOf("f"),
        key: "k",
        status: 201,
        headers: {},
        body: "{}",
      });
    });
  await record();
  await expect(record()).rejects.toMatchObject({ code: "idempotency_key_taken" });
  await store.transact("next", (tx) => tx.query(insertNote("a")));
  const { rows } = await store.read("pid", (reader) =>
    reader.queryText("select count(*) as n from note", []),
  );
  expect(rows).toEqual([{ n: 1 }]);
});

describe("round trips", () => {
  test("of a request with key, statement, event and job are three", async () => {
    const store = await openNode((await newDatabase()).url);
    const send = vi.spyOn(PostgresConnection.prototype, "send");
    await store.transact("POST /notes", async (tx) => {
      await tx.claimKey(digestOf("k"));
      await tx.query(insertNote("a"));
      tx.appendEvent(eventOf("e"));
      tx.insertJob(jobOf());
      tx.recordAnswer({
        digest: digestOf("k"),
        fingerprint: digestOf("f"),
        key: "k",
        status: 201,
        headers: {},
        body: "{}",
      });
    });
    expect(send).toHaveBeenCalledTimes(3);
  });

  test("of a read with one statement is one before its answer", async () => {
    const store = await openNode((await newDatabase()).url);
    const send = vi.spyOn(PostgresConnection.prototype, "send");
    const sent = await store.read("one", async (reader) => {
      await reader.query(statement`select 1 as one`);
      return send.mock.calls.length;
    });
    expect(sent).toBe(1);
  });
});

describe("an idempotency key", () => {
  test("has one effect, whichever of two nodes its 100 requests meet", async () => {
    const database = await newDatabase();
    const added = defineEvent("note.added", z.object({ id: z.string() }));
    const nodes = await Promise.all(
      [1, 2].map(async () => {
        const store = await openNode(database.url);
        return createDurable({ store, log: silentLog, jobs: [], consumers: [] });
      }),
    );
    let effects = 0;
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const node = nodes[index % 2];
        if (node === undefined) throw new Error("A node is missing");
        return node.execute({
          label: "POST /notes",
          tenant: "t",
          requestId: `r${index}`,
          idempotency: { key: "k", digest: digestOf("k"), fingerprint: digestOf("f") },
          refuse: () => undefined,
          run: async (tx) => {
            effects += 1;
            await tx.sql`insert into note (id) values (${`n${index}`})`;
            tx.emit(added, { id: `n${index}` });
            return { status: 201, headers: {}, body: `n${index}` };
          },
        });
      }),
    );
    const raw = await rawClient(database.url);
    const [id] = await noteIds(raw);
    expect(effects).toBe(1);
    expect(await noteIds(raw)).toHaveLength(1);
    expect(answers.filter((answer) => answer.outcome === "fresh")).toHaveLength(1);
    for (const answer of answers) {
      if (answer.outcome === "in_flight") continue;
      expect(answer).toMatchObject({ answer: { status: 201, body: id } });
    }
  });

  test("is free again as soon as the connection of its holder is gone", async () => {
    const database = await newDatabase();
    const [first, second] = [await openNode(database.url), await openNode(database.url)];
    const raw = await rawClient(database.url);
    const claimed = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const holder = first.transact("holder", async (tx) => {
      expect(await tx.claimKey(digestOf("k"))).toEqual({ outcome: "free" });
      claimed.resolve();
      await gate.promise;
      tx.appendEvent(eventOf("e"));
    });
    holder.catch(() => undefined);
    await claimed.promise;
    const claim = () => second.transact("other", (tx) => tx.claimKey(digestOf("k")));
    expect((await claim()).value).toEqual({ outcome: "in_flight" });
    await terminate(raw, "state = 'idle in transaction'");
    await until("the key is free", async () => (await claim()).value.outcome === "free");
    gate.resolve();
    await expect(holder).rejects.toMatchObject({ code: "store_unavailable" });
  });
});

test("more statements than a connection keeps prepared still run", async () => {
  const store = await openNode((await newDatabase()).url, { poolSize: 1 });
  const { value } = await store.transact("many", async (tx) => {
    let sum = 0;
    for (let round = 0; round < 2; round += 1) {
      for (let index = 0; index < 250; index += 1) {
        const { rows } = await tx.queryText(`select ${index} as n`, []);
        sum += Number(rows[0]?.["n"]);
      }
    }
    const { rows } = await tx.queryText("select count(*) as n from pg_prepared_statements", []);
    expect(Number(rows[0]?.["n"])).toBeLessThanOrEqual(200);
    return sum;
  });
  expect(value).toBe(249 * 250);
});
