import { until } from "@apiforge/testing";
import type { Client } from "pg";
import { describe, expect, test } from "vitest";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import type { LogEvent, Store } from "../../src/store/index.ts";
import { loadDriver } from "../../src/store/postgres/driver.ts";
import { EventLog } from "../../src/store/postgres/events.ts";
import { ConnectionPool } from "../../src/store/postgres/pool.ts";
import {
  backends,
  eventOf,
  newDatabase,
  noteTable,
  openNode,
  rawClient,
  terminate,
} from "./postgres-harness.ts";

const logLock = "1718579815, 1";

/** Does what a publisher does up to its COMMIT, on a connection that the test commits. */
async function publishSlowly(client: Client, id: string): Promise<number> {
  await client.query("begin");
  await client.query(`select pg_advisory_xact_lock_shared(${logLock})`);
  const { rows } = await client.query<{ seq: number }>(
    `insert into forge_events (seq, id, type, tenant, data, request_id, created_at)
     values (nextval('forge_event_seq'), $1, 'note.added', 't', '{}', 'r', 1) returning seq`,
    [id],
  );
  return rows[0]?.seq ?? 0;
}

async function publish(store: Store, ...ids: string[]): Promise<number> {
  const { seq } = await store.transact("publish", async (tx) => {
    for (const id of ids) tx.appendEvent(eventOf(id));
  });
  return seq;
}

function ids(events: readonly LogEvent[]): string[] {
  return events.map((event) => event.id);
}

describe("a reader of the log", () => {
  test("does not pass an event that is not committed yet", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    await publish(store, "a");
    const held = await publishSlowly(raw, "held");
    expect(await publish(store, "b")).toBeGreaterThan(held);
    expect(ids(await store.events.read(0, 10))).toEqual(["a"]);
    expect(await store.events.read(1, 10)).toEqual([]);
    const inside = await store.transact("consume", (tx) => tx.readEvents(0, 10));
    expect(ids(inside.value)).toEqual(["a"]);
    await raw.query("commit");
    expect(ids(await store.events.read(1, 10))).toEqual(["held", "b"]);
    expect(await store.events.head()).toBe(3);
  });

  test("does not pass one whose COMMIT takes its time on the server", async () => {
    const database = await newDatabase();
    const waits = {
      name: "0002-waits",
      sqlite: "",
      postgres: `create function wait_for_42() returns trigger language plpgsql
          as $$ begin perform pg_advisory_xact_lock(42); return null; end $$;
        create constraint trigger wait after insert on note deferrable initially deferred
          for each row execute function wait_for_42()`,
    };
    const store = await openNode(database.url, { migrations: [noteTable, waits] });
    const [raw, watcher] = [await rawClient(database.url), await rawClient(database.url)];
    await raw.query("begin; select pg_advisory_xact_lock(42)");
    const held = store.transact("held", async (tx) => {
      await tx.queryText("insert into note (id) values ('a')", []);
      tx.appendEvent(eventOf("held"));
    });
    await until("COMMIT waits", async () => {
      return (await backends(watcher, "wait_event_type = 'Lock'")).length > 0;
    });
    await publish(store, "b");
    expect(await store.events.read(0, 10)).toEqual([]);
    expect(await store.events.read(0, 10)).toEqual([]);
    await raw.query("commit");
    expect((await held).seq).toBe(1);
    expect(ids(await store.events.read(0, 10))).toEqual(["held", "b"]);
  });

  test("does not pass one that was committed after its snapshot was taken", async () => {
    const database = await newDatabase();
    const driver = await loadDriver();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    const options = {
      url: database.url,
      transactionLimitMs: 1_500,
      clock: systemClock,
      log: silentLog,
    };
    const pool = new ConnectionPool(driver, options, () => undefined);
    const log = new EventLog(pool);
    await publish(store, "a");
    await publishSlowly(raw, "held");
    await publish(store, "b");
    let sent = 0;
    const events = await log.readWith(
      async (commands) => {
        const results = await pool.run("read", commands);
        sent += 1;
        if (sent === 1) {
          // Between the snapshot and its arrival everything is settled, what it lacks included.
          await raw.query("commit");
          expect(await log.head()).toBe(3);
        }
        return results;
      },
      1,
      10,
    );
    expect(ids(events)).toEqual(["held", "b"]);
    await pool.close();
  });

  test("passes the number of a transaction that was rolled back", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    await publishSlowly(raw, "undone");
    await publish(store, "b");
    await raw.query("rollback");
    await until("the reader passes", async () => ids(await store.events.read(0, 10)).includes("b"));
    expect(ids(await store.events.read(0, 10))).toEqual(["b"]);
    expect(await store.events.head()).toBe(2);
  });

  test("passes the number of a publisher whose connection was ended", async () => {
    const database = await newDatabase();
    const [store, other] = [await openNode(database.url), await openNode(database.url)];
    const [raw, killer] = [await rawClient(database.url), await rawClient(database.url)];
    await publishSlowly(raw, "killed");
    await publish(store, "b");
    expect(await store.events.read(0, 10)).toEqual([]);
    await killer.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'raw' and state = 'idle in transaction'",
    );
    for (const node of [store, other]) {
      await until("the reader passes", async () => (await node.events.read(0, 10)).length > 0);
      expect(ids(await node.events.read(0, 10))).toEqual(["b"]);
    }
    const inside = await store.transact("consume", (tx) => tx.readEvents(0, 10));
    expect(ids(inside.value)).toEqual(["b"]);
  });

  test("that starts after a gap was left needs nobody who saw it happen", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    await publish(store, "a");
    await raw.query("select nextval('forge_event_seq') from generate_series(1, 40)");
    await publish(store, "b");
    const fresh = await openNode(database.url);
    expect(await fresh.events.head()).toBe(42);
    expect(ids(await fresh.events.read(0, 10))).toEqual(["a", "b"]);
  });

  test("inside a transaction takes no lock that stops publishers", async () => {
    const database = await newDatabase();
    const store = await openNode(database.url);
    const raw = await rawClient(database.url);
    await publish(store, "a");
    await store.transact("consume", async (tx) => {
      await tx.readEvents(0, 10);
      const { rows } = await raw.query(
        `select 1 from pg_locks where locktype = 'advisory' and mode = 'ExclusiveLock'
           and database = (select oid from pg_database where datname = current_database())`,
      );
      expect(rows).toEqual([]);
      await publish(store, "b");
      expect(ids(await tx.readEvents(0, 10))).toEqual(["a", "b"]);
    });
  });

  test("sees every event once and in order while publishers are slow, fail and are killed", async () => {
    const database = await newDatabase();
    const nodes = [await openNode(database.url), await openNode(database.url)];
    const slow = await Promise.all([1, 2, 3].map(() => rawClient(database.url)));
    const watcher = await rawClient(database.url);
    const published: string[] = [];
    let done = false;
    const publishers = [
      ...nodes.map(async (node, index) => {
        for (let n = 0; n < 80; n += 1) {
          await publish(node, `${index}.${n}`, `${index}.${n}b`);
          published.push(`${index}.${n}`, `${index}.${n}b`);
        }
      }),
      ...slow.map(async (client, index) => {
        for (let n = 0; n < 15; n += 1) {
          await publishSlowly(client, `slow${index}.${n}`);
          await client.query("select pg_sleep(0.004 * $1::int)", [index]);
          await client.query(n % 3 === 0 ? "rollback" : "commit");
          if (n % 3 !== 0) published.push(`slow${index}.${n}`);
        }
      }),
    ];
    const readers = nodes.map(async (node) => {
      const seen: LogEvent[] = [];
      for (let last = false; ;) {
        const batch = await node.events.read(seen.at(-1)?.seq ?? 0, 7);
        seen.push(...batch);
        if (last && batch.length === 0) return seen;
        last = done;
      }
    });
    await Promise.all(publishers).finally(() => (done = true));
    for (const seen of await Promise.all(readers)) {
      // The log may end in numbers that are still being settled; from here on nobody publishes.
      for (const node of nodes) {
        const rest = await node.events.read(seen.at(-1)?.seq ?? 0, 1_000);
        if (rest.length > 0) seen.push(...rest);
      }
      const { rows } = await watcher.query<{ id: string }>(
        "select id from forge_events order by seq",
      );
      expect(ids(seen)).toEqual(rows.map((row) => row.id));
      expect(ids(seen).toSorted()).toEqual(published.toSorted());
    }
  });
});

test("a log that another server continues with less is read from its own numbers", async () => {
  const database = await newDatabase();
  const store = await openNode(database.url, { poolSize: 2 });
  const raw = await rawClient(database.url);
  for (const id of ["a", "b", "c"]) await publish(store, id);
  expect(await store.events.head()).toBe(3);
  // What a failover to a standby that lags does: connections break, the end of the log is lost.
  await raw.query("delete from forge_events where seq > 1");
  await raw.query("select setval('forge_event_seq', 1)");
  await terminate(raw);
  await until("every connection has ended", async () => (await backends(raw)).length === 0);
  const other = await rawClient(database.url);
  await publishSlowly(other, "held");
  await until("the store is connected again", async () => {
    return store.check().then(
      () => true,
      () => false,
    );
  });
  await publish(store, "after");
  expect(await store.events.read(1, 10)).toEqual([]);
  await other.query("commit");
  expect(ids(await store.events.read(1, 10))).toEqual(["held", "after"]);
});
