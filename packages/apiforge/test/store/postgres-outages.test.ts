import {
  recordingLog,
  startHalfOpenProxy,
  startPostgres,
  until,
  type HalfOpenProxy,
  type LogEntry,
  type RecordingLog,
} from "@apiforge/testing";
import { execFileSync } from "node:child_process";
import type { Client } from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Store, StoreTransaction } from "../../src/store/index.ts";
import {
  backends,
  digestOf,
  eventOf,
  newDatabase,
  noteIds,
  openNode,
  rawClient,
  statement,
  terminate,
} from "./postgres-harness.ts";

const limitMs = 1_500;
const unavailable = { code: "store_unavailable", retryable: true, retryAfterSeconds: 1 };

const addNote = (tx: StoreTransaction, id: string) =>
  tx.query(statement`insert into note (id) values (${id})`);

async function proxied(url: string): Promise<HalfOpenProxy> {
  const proxy = await startHalfOpenProxy(url);
  onTestFinished(() => proxy.close());
  return proxy;
}

/** Waits until a backend of the store is held up by a lock. */
async function untilBlocked(raw: Client): Promise<void> {
  await until("a backend waits for a lock", async () => {
    return (await backends(raw, "wait_event_type = 'Lock'")).length > 0;
  });
}

/** Holds the log against publishers until the answer is called: their commits were sent and wait. */
async function holdLog(raw: Client): Promise<() => Promise<unknown>> {
  await raw.query("begin");
  await raw.query("select pg_advisory_xact_lock(1718579815, 1)");
  return () => raw.query("commit");
}

function errorsOf(log: RecordingLog): readonly LogEntry[] {
  return log.entries.filter((entry) => entry.level === "error");
}

async function works(store: Store, id: string): Promise<void> {
  await store.transact("works", (tx) => addNote(tx, id));
}

describe("a connection that is ended", () => {
  test("in mid-transaction undoes it, says so, and costs no other", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    const unit = store.transact("ended", async (tx) => {
      await addNote(tx, "a");
      await terminate(raw, "state = 'idle in transaction'");
      await addNote(tx, "b");
    });
    await expect(unit).rejects.toMatchObject(unavailable);
    await works(store, "c");
    expect(await noteIds(raw)).toEqual(["c"]);
  });

  test("under a running statement says that the database is not available", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    const unit = store.transact("ended", (tx) => tx.query(statement`select pg_sleep(60)`));
    unit.catch(() => undefined);
    await until("it runs", async () => (await backends(raw, "query ~ 'pg_sleep'")).length > 0);
    await terminate(raw, "query ~ 'pg_sleep'");
    await expect(unit).rejects.toMatchObject(unavailable);
  });

  test("while COMMIT waits for its answer leaves the outcome unknown", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const [raw, holder] = [await rawClient(database.url), await rawClient(database.url)];
    const release = await holdLog(holder);
    const unit = store.transact("commits", async (tx) => {
      await addNote(tx, "a");
      tx.appendEvent(eventOf("e"));
    });
    unit.catch(() => undefined);
    await untilBlocked(raw);
    await terminate(raw, "wait_event_type = 'Lock'");
    await expect(unit).rejects.toMatchObject({ code: "commit_outcome_unknown", retryable: true });
    await release();
    expect(await noteIds(raw)).toEqual([]);
  });

  test("while it is idle is not noticed by the next transaction", async () => {
    const database = await newDatabase();
    const log = recordingLog();
    const store = await openNode(database.url, { log });
    const raw = await rawClient(database.url);
    await works(store, "a");
    await terminate(raw);
    await until("the pool has noticed", () =>
      log.entries.some((entry) => entry.message.includes("idle database connection")),
    );
    await works(store, "b");
    expect(await noteIds(raw)).toEqual(["a", "b"]);
  });
});

describe("a half-open connection", () => {
  test("is given up when the time is over, and nothing happened", async () => {
    const database = await newDatabase();
    const proxy = await proxied(database.url);
    const log = recordingLog();
    const store = await openNode(proxy.url, { log });
    const unit = store.transact("POST /notes", async (tx) => {
      await addNote(tx, "a");
      proxy.blackhole();
      const next = addNote(tx, "b");
      store.clock.advance(limitMs);
      await next;
    });
    await expect(unit).rejects.toMatchObject(unavailable);
    expect(errorsOf(log)).toMatchObject([{ level: "error", fields: { label: "POST /notes" } }]);
    proxy.resume();
    await works(store, "c");
    expect(await noteIds(await rawClient(database.url))).toEqual(["c"]);
  });

  test("while COMMIT is on its way leaves the outcome unknown, and the record tells it", async () => {
    const database = await newDatabase();
    const proxy = await proxied(database.url);
    const store = await openNode(proxy.url);
    const [raw, holder] = [await rawClient(database.url), await rawClient(database.url)];
    const release = await holdLog(holder);
    const digest = digestOf("k");
    const unit = store.transact("commits", async (tx) => {
      await tx.claimKey(digest);
      await addNote(tx, "a");
      tx.appendEvent(eventOf("e"));
      tx.recordAnswer({
        digest,
        fingerprint: digest,
        key: "k",
        status: 201,
        headers: {},
        body: "a",
      });
    });
    unit.catch(() => undefined);
    await untilBlocked(raw);
    proxy.blackhole();
    await release();
    await until("it is committed", async () => (await noteIds(raw)).length > 0);
    store.clock.advance(limitMs);
    await expect(unit).rejects.toMatchObject({ code: "commit_outcome_unknown" });
    proxy.resume();
    expect(await store.idempotency.find(digest)).toMatchObject({ status: 201, body: "a", seq: 1 });
  });

  test("fails a read, a check and a single statement in the same way", async () => {
    const database = await newDatabase();
    const proxy = await proxied(database.url);
    const store = await openNode(proxy.url);
    await store.check();
    const calls: (() => Promise<unknown>)[] = [
      () => store.read("GET /notes", (reader) => reader.query(statement`select 1 as one`)),
      () => store.check(),
      () => store.jobs.find("job_1"),
      () => store.events.read(0, 10),
      () => store.workers.heartbeat("w1"),
    ];
    for (const call of calls) {
      // One connection is open and idle; it goes silent when it is used.
      await store.check();
      proxy.blackhole();
      const outcome = call();
      outcome.catch(() => undefined);
      await Promise.resolve();
      await new Promise(setImmediate);
      store.clock.advance(limitMs);
      await expect(outcome, String(call)).rejects.toMatchObject(unavailable);
      proxy.resume();
    }
  });
});

describe("a transaction that takes too long", () => {
  test("in its own code is cut off, and its connection with it", async () => {
    const database = await newDatabase();
    const log = recordingLog();
    const store = await openNode(database.url, { log });
    const raw = await rawClient(database.url);
    const unit = store.transact("POST /slow", async (tx) => {
      await addNote(tx, "a");
      store.clock.advance(limitMs);
      await Promise.withResolvers<void>().promise;
    });
    await expect(unit).rejects.toMatchObject({ code: "transaction_timeout" });
    expect(errorsOf(log)).toMatchObject([{ level: "error", fields: { label: "POST /slow" } }]);
    await until(
      "it is undone",
      async () => (await backends(raw, "xact_start is not null")).length === 0,
    );
    await works(store, "b");
    expect(await noteIds(raw)).toEqual(["b"]);
  });

  test("is ended by the server too, should this process stand still", async () => {
    const store = await openNode((await newDatabase()).url);
    const rows = await store.read("settings", (reader) =>
      reader.query(
        statement`select name, setting::integer as ms from pg_settings
          where name in ('statement_timeout', 'idle_in_transaction_session_timeout') order by name`,
      ),
    );
    expect(rows).toEqual([
      { name: "idle_in_transaction_session_timeout", ms: 2_000 },
      { name: "statement_timeout", ms: 2_000 },
    ]);
  });

  test("makes who waits for its connection fail, and nobody after", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url, { poolSize: 1 });
    const holds = Promise.withResolvers<void>();
    const first = store.transact("holds", async (tx) => {
      await addNote(tx, "a");
      holds.resolve();
      await Promise.withResolvers<void>().promise;
    });
    first.catch(() => undefined);
    await holds.promise;
    const second = store.transact("waits", (tx) => addNote(tx, "b"));
    second.catch(() => undefined);
    store.clock.advance(limitMs);
    await expect(first).rejects.toMatchObject({ code: "transaction_timeout" });
    await expect(second).rejects.toMatchObject(unavailable);
    await works(store, "c");
    expect(await noteIds(await rawClient(database.url))).toEqual(["c"]);
  });
});

describe("a server", () => {
  test("that goes and comes back is used again, by itself", async () => {
    await using server = await startPostgres();
    const store = await openNode(server.url);
    await works(store, "before");
    for (const stop of [() => server.stopServer(), () => server.kill9()]) {
      const caught = store.transact("caught", async (tx) => {
        await addNote(tx, "lost");
        await stop();
        await addNote(tx, "lost too");
      });
      await expect(caught).rejects.toMatchObject(unavailable);
      const calls = [
        works(store, "down"),
        store.check(),
        store.jobs.claim("mail", "w1", 1),
        store.events.read(0, 1),
        store.read("down", (reader) => reader.query(statement`select 1 as one`)),
      ];
      for (const outcome of await Promise.allSettled(calls)) {
        expect(outcome).toMatchObject({ status: "rejected", reason: unavailable });
      }
      await server.startServer();
      await until("it serves again", () =>
        store.check().then(
          () => true,
          () => false,
        ),
      );
      await store.transact("after", (tx) =>
        tx.query(statement`insert into note (id) values (${"after"}) on conflict do nothing`),
      );
    }
    const rows = await store.read("all", (reader) =>
      reader.query(statement`select id from note order by id`),
    );
    expect(rows).toEqual([{ id: "after" }, { id: "before" }]);
    await store.close();
  });

  test("that is not there is said at opening", async () => {
    const proxy = await startHalfOpenProxy("postgres://nobody@127.0.0.1:1/none");
    await proxy.close();
    await expect(openNode(proxy.url)).rejects.toMatchObject(unavailable);
  });

  test("that refuses the login is a matter of configuration", async () => {
    const { url } = await newDatabase();
    const wrong = new URL(url);
    wrong.password = "swordfish";
    const noDatabase = new URL(url);
    noDatabase.pathname = "/none";
    for (const address of [wrong, noDatabase]) {
      const error: unknown = await openNode(address.href).catch((error: unknown) => error);
      expect(error).toMatchObject({ code: "store_misconfigured" });
      expect((error as Error).message).not.toMatch(/swordfish/);
    }
    await expect(openNode("postgres://[")).rejects.toMatchObject({ code: "store_misconfigured" });
  });

  test("that would lose commits in a crash is refused", async () => {
    const database = await newDatabase();
    const raw = await rawClient(database.url);
    await raw.query(`alter database ${database.name} set synchronous_commit = off`);
    await expect(openNode(database.url)).rejects.toMatchObject({
      code: "store_misconfigured",
      message: /synchronous_commit/,
    });
  });

  test("that takes no writes is not available to them", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    await raw.query(`alter database ${database.name} set default_transaction_read_only = on`);
    await terminate(raw, "true").catch(() => undefined);
    await until("the old connections are gone", async () => (await backends(raw)).length === 0);
    await expect(works(store, "a")).rejects.toMatchObject(unavailable);
    await expect(store.check()).rejects.toMatchObject(unavailable);
  });
});

test("without the package pg the store says what to install", () => {
  const script = `
    import { registerHooks } from "node:module";
    registerHooks({
      resolve(specifier, context, next) {
        return next(specifier === "pg" ? "pg-that-nobody-installed" : specifier, context);
      },
    });
    const { openPostgresStore } = await import(${JSON.stringify(
      new URL("../../src/store/postgres/store.ts", import.meta.url).href,
    )});
    const error = await openPostgresStore({ url: "", migrations: [] }).catch((error) => error);
    console.log(error.code, error.message);
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  expect(output).toMatch(/^store_misconfigured .*npm install pg/);
});
