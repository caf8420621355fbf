import { setImmediate as nextTurn } from "node:timers/promises";
import { recordingLog, startHalfOpenProxy, until } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import type {
  Committed,
  IdempotencyRecord,
  Store,
  StoreTransaction,
} from "../../src/store/index.ts";
import type { PostgresStoreOptions } from "../../src/store/postgres/store.ts";
import {
  digestOf,
  eventOf,
  jobOf,
  newDatabase,
  noteIds,
  openNode,
  rawClient,
  statement,
} from "./postgres-harness.ts";

/** Notes that tell the transaction by which they came. */
const notes = {
  name: "0001-notes",
  sqlite: "",
  postgres: `create table note (
      id text primary key, body text not null default '',
      tx text not null default pg_current_xact_id()::text
    )`,
};

/** Fires for a note whose body is `body`: at once, or when it is committed. */
function trap(body: string, when: "at once" | "at commit", action: string) {
  const [name, constraint, deferral] =
    when === "at once"
      ? [`trap_${body}`, "", ""]
      : [`trap_${body}`, "constraint", "deferrable initially deferred"];
  return {
    name: `0002-${name}`,
    sqlite: "",
    postgres: `create function ${name}() returns trigger language plpgsql
        as $$ begin ${action}; return null; end $$;
      create ${constraint} trigger ${name} after insert on note ${deferral} for each row
        when (new.body = '${body}') execute function ${name}()`,
  };
}

const always = { quickAfter: 0, fewestUnits: 1 };

async function openGrouping(options: Partial<PostgresStoreOptions> = {}) {
  const database = await newDatabase();
  const store = await openNode(database.url, {
    migrations: [notes],
    grouping: always,
    ...options,
  });
  return { store, raw: await rawClient(database.url) };
}

const addNote = (tx: StoreTransaction, id: string, body = "") =>
  tx.query(statement`insert into note (id, body) values (${id}, ${body})`);

function add(store: Store, id: string, body = ""): Promise<Committed<void>> {
  return store.transact("add", async (tx) => {
    await addNote(tx, id, body);
  });
}

/** The transactions by which notes came, each with the ids of its own. */
async function transactionsOf(raw: Awaited<ReturnType<typeof rawClient>>): Promise<string[]> {
  const { rows } = await raw.query<{ ids: string }>(
    "select string_agg(id, '' order by id) as ids from note group by tx order by 1",
  );
  return rows.map((row) => row.ids);
}

function recordOf(key: string): IdempotencyRecord {
  const digest = digestOf(key);
  const body = String.raw`{"key":"${key}","text":"a \\ \"b\" ü"}`;
  return { digest, fingerprint: digestOf(`${key} content`), key, status: 201, headers: {}, body };
}

/** Everything that a unit can put into a group. */
function addAll(store: Store, id: string, events: number): Promise<Committed<string>> {
  return store.transact("add all", async (tx) => {
    const record = recordOf(id);
    const claim = await tx.claimKey(record.digest);
    if (claim.outcome !== "free") return claim.outcome;
    await addNote(tx, id);
    tx.insertJob(jobOf({ id: `job ${id}` }));
    for (let n = 0; n < events; n++) tx.appendEvent(eventOf(`${id}${n}`));
    tx.recordAnswer(record);
    return "free";
  });
}

describe("units that are quick", () => {
  test("share a transaction, in which each has its own effects and place in the log", async () => {
    const { store, raw } = await openGrouping();
    const committed = await Promise.all([
      addAll(store, "a", 1),
      addAll(store, "b", 0),
      addAll(store, "c", 2),
    ]);
    expect(await transactionsOf(raw)).toEqual(["abc"]);
    expect(committed).toEqual([
      { value: "free", seq: 1 },
      { value: "free", seq: 0 },
      { value: "free", seq: 3 },
    ]);
    expect((await store.events.read(0, 10)).map(({ seq, id }) => [seq, id])).toEqual([
      [1, "a0"],
      [2, "c0"],
      [3, "c1"],
    ]);
    for (const [index, id] of ["a", "b", "c"].entries()) {
      expect(await store.idempotency.find(digestOf(id))).toMatchObject({
        ...recordOf(id),
        seq: committed[index]?.seq,
      });
      expect(await store.jobs.find(`job ${id}`)).toMatchObject({ state: "ready" });
    }
  });

  test("count their jobs into the lanes that they share", async () => {
    const { store, raw } = await openGrouping();
    const lane = { key: "tenant", concurrency: 1, spacingUs: 0, ordered: false };
    const enqueue = (id: string) =>
      store.transact("enqueue", async (tx) => {
        await addNote(tx, id);
        tx.insertJob(jobOf({ id, lane }));
      });
    await Promise.all([enqueue("a"), enqueue("b"), add(store, "c")]);
    expect(await transactionsOf(raw)).toEqual(["abc"]);
    const { rows } = await raw.query("select key, waiting, running from forge_lanes");
    expect(rows).toEqual([{ key: "tenant", waiting: 2, running: 0 }]);
    expect((await store.jobs.claim("mail", "w1", 10)).map((job) => job.id)).toEqual(["a"]);
  });

  test("of one key do not both have it", async () => {
    const { store, raw } = await openGrouping();
    const values = await Promise.all([addAll(store, "a", 1), addAll(store, "a", 1)]);
    expect(values.map(({ value }) => value)).toEqual(["free", "in_flight"]);
    const again = await Promise.all([addAll(store, "a", 1), addAll(store, "b", 1)]);
    expect(again.map(({ value }) => value)).toEqual(["recorded", "free"]);
    expect(await noteIds(raw)).toEqual(["a", "b"]);
  });

  test("may throw before they have had effects, at nobody's cost", async () => {
    const { store, raw } = await openGrouping();
    const refusal = new Error("404");
    const refused = store.transact("refuses", async (tx) => {
      await tx.claimKey(digestOf("k"));
      throw refusal;
    });
    const [refusedEnd] = await Promise.allSettled([refused, add(store, "a"), add(store, "b")]);
    expect(refusedEnd).toEqual({ status: "rejected", reason: refusal });
    expect(await transactionsOf(raw)).toEqual(["ab"]);
    // The key is free when the error is out.
    const { value } = await store.transact("next", (tx) => tx.claimKey(digestOf("k")));
    expect(value).toEqual({ outcome: "free" });
  });

  test("are known by their label, and one that is not is not waited for", async () => {
    const { store, raw } = await openGrouping({ grouping: { quickAfter: 2, fewestUnits: 1 } });
    await Promise.all([add(store, "a"), add(store, "b")]);
    await Promise.all([add(store, "c"), add(store, "d")]);
    expect(await transactionsOf(raw)).toEqual(["a", "b", "cd"]);
    // Its error costs the label its place.
    await Promise.allSettled([add(store, "d"), add(store, "e")]);
    await Promise.all([add(store, "f"), add(store, "g")]);
    expect(await transactionsOf(raw)).toEqual(["a", "b", "cd", "e", "f", "g"]);
  });

  test("have a connection each while they are few", async () => {
    const { store, raw } = await openGrouping({ grouping: { quickAfter: 0, fewestUnits: 3 } });
    await Promise.all([add(store, "a"), add(store, "b"), add(store, "c"), add(store, "d")]);
    expect(await transactionsOf(raw)).toEqual(["a", "b", "cd"]);
  });

  test("leave the settings of their connection as they were", async () => {
    const { store } = await openGrouping({ poolSize: 1 });
    await Promise.all([add(store, "a"), add(store, "b")]);
    const read = await store.read("settings", (reader) =>
      reader.query(
        statement`select current_setting('lock_timeout') as lock,
          current_setting('statement_timeout') as statement`,
      ),
    );
    expect(read).toEqual([{ lock: "0", statement: "2s" }]);
  });
});

describe("a unit of a group", () => {
  test("whose statement fails has its own error, and costs the others nothing", async () => {
    const { store, raw } = await openGrouping();
    await add(store, "taken");
    const [a, taken, b] = await Promise.allSettled([
      addAll(store, "a", 1),
      addAll(store, "taken", 1),
      addAll(store, "b", 1),
    ]);
    expect(taken).toMatchObject({
      reason: { code: "unique_violation", cause: { code: "23505" } },
    });
    expect([a, b]).toMatchObject([{ value: { value: "free" } }, { value: { value: "free" } }]);
    expect(await noteIds(raw)).toEqual(["a", "b", "taken"]);
    const events = await store.events.read(0, 10);
    expect(events.map((event) => event.id).toSorted()).toEqual(["a0", "b0"]);
    expect(await store.idempotency.find(digestOf("taken"))).toBeUndefined();
    expect(await store.jobs.find("job taken")).toBeUndefined();
  });

  test("that throws after its statement is undone, and the others are not", async () => {
    const { store, raw } = await openGrouping();
    const refusal = new Error("409");
    const throws = store.transact("throws", async (tx) => {
      await addNote(tx, "undone");
      throw refusal;
    });
    const [end] = await Promise.allSettled([throws, add(store, "a"), add(store, "b")]);
    expect(end).toEqual({ status: "rejected", reason: refusal });
    expect(await noteIds(raw)).toEqual(["a", "b"]);
  });

  test("whose constraint fails at COMMIT has its own error, and costs the others nothing", async () => {
    const late = trap("late", "at commit", "raise exception using errcode = '23514'");
    const { store, raw } = await openGrouping({ migrations: [notes, late] });
    const [a, fails, b] = await Promise.allSettled([
      add(store, "a"),
      add(store, "fails", "late"),
      addAll(store, "b", 1),
    ]);
    expect(fails).toMatchObject({ reason: { cause: { code: "23514" } } });
    expect([a.status, b.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(await noteIds(raw)).toEqual(["a", "b"]);
  });

  test("that waits for something else before its statement goes on alone", async () => {
    const { store, raw } = await openGrouping();
    const gate = Promise.withResolvers<void>();
    const slow = store.transact("slow", async (tx) => {
      expect(await tx.claimKey(digestOf("k"))).toEqual({ outcome: "free" });
      await gate.promise;
      await addNote(tx, "slow");
    });
    await Promise.all([add(store, "a"), add(store, "b")]);
    expect(await noteIds(raw)).toEqual(["a", "b"]);
    gate.resolve();
    await slow;
    expect(await transactionsOf(raw)).toEqual(["ab", "slow"]);
  });

  test("that holds on after its statement is not waited for either", async () => {
    const { store, raw } = await openGrouping();
    const gate = Promise.withResolvers<void>();
    const slow = store.transact("slow", async (tx) => {
      await tx.claimKey(digestOf("k"));
      await addNote(tx, "slow");
      await gate.promise;
      tx.appendEvent(eventOf("slow"));
    });
    await Promise.all([add(store, "a"), add(store, "b")]);
    expect(await noteIds(raw)).toEqual(["a", "b"]);
    // It holds its key to its end, as everybody does.
    await until("the unit has its key again", async () => {
      const { value } = await store.transact("asks", (tx) => tx.claimKey(digestOf("k")));
      return value.outcome === "in_flight";
    });
    gate.resolve();
    expect((await slow).seq).toBe(1);
    expect(await noteIds(raw)).toEqual(["a", "b", "slow"]);
  });

  test("that is never done is cut off when its time is over", async () => {
    const log = recordingLog();
    const { store, raw } = await openGrouping({ log });
    const alone = Promise.withResolvers<void>();
    const hangs = store.transact("hangs", async (tx) => {
      await addNote(tx, "hangs");
      await addNote(tx, "hangs more");
      alone.resolve();
      await Promise.withResolvers<void>().promise;
    });
    hangs.catch(() => undefined);
    await Promise.all([add(store, "a"), add(store, "b"), alone.promise]);
    store.clock.advance(1_500);
    await expect(hangs).rejects.toMatchObject({ code: "transaction_timeout" });
    const errors = log.entries.filter((entry) => entry.level === "error");
    expect(errors).toMatchObject([{ fields: { label: "hangs" } }]);
    expect(await noteIds(raw)).toEqual(["a", "b"]);
  });

  test("that waits for a lock holds nobody up", async () => {
    const { store, raw } = await openGrouping();
    await add(store, "held");
    await raw.query("begin; update note set body = 'x' where id = 'held'");
    const waits = store.transact("waits", async (tx) => {
      await tx.query(statement`update note set body = body || 'y' where id = ${"held"}`);
    });
    await Promise.all([add(store, "a"), add(store, "b")]);
    await raw.query("commit");
    await waits;
    const { rows } = await raw.query("select id, body from note order by id");
    expect(rows).toEqual([
      { id: "a", body: "" },
      { id: "b", body: "" },
      { id: "held", body: "xy" },
    ]);
  });

  test("that asks for more than a group does gets it", async () => {
    const { store, raw } = await openGrouping();
    const found: unknown[] = [];
    const twice = store.transact("twice", async (tx) => {
      await addNote(tx, "one");
      await addNote(tx, "two");
      // Neighbours' notes may be there by now: only its own are counted.
      const own = statement`select count(*) as n from note where id = ${"one"} or id = ${"two"}`;
      found.push(...(await tx.query(own)));
      found.push(await tx.insertUniqueJob(jobOf({ id: "job_1", dedupeKey: "d" })));
    });
    const both = store.transact("both", async (tx) => {
      await Promise.all([addNote(tx, "three"), addNote(tx, "four")]);
    });
    const forgets = store.transact("forgets", async (tx) => {
      void addNote(tx, "five");
    });
    await Promise.all([add(store, "a"), twice, both, forgets]);
    expect(found).toEqual([{ n: 2 }, { id: "job_1", inserted: true }]);
    expect(await noteIds(raw)).toEqual(["a", "five", "four", "one", "three", "two"]);
  });

  test("is told to try again when what it had been told is no longer so", async () => {
    const { store, raw } = await openGrouping();
    await raw.query("create sequence turn");
    const first = store.transact("first only", async (tx) => {
      await tx.query(statement`insert into note (id) select 'first' where nextval('turn') = ${1}`);
    });
    const throws = store.transact("throws", async (tx) => {
      await addNote(tx, "undone");
      throw new Error("409");
    });
    const [firstEnd] = await Promise.allSettled([first, throws, add(store, "a")]);
    expect(firstEnd).toMatchObject({ reason: { code: "transaction_conflict", retryable: true } });
    expect(await noteIds(raw)).toEqual(["a"]);
  });

  test("can end its transaction no more than alone", async () => {
    const { store, raw } = await openGrouping();
    const ends = store.transact("ends", (tx) => tx.queryText("commit", []));
    const [end] = await Promise.allSettled([ends, add(store, "a"), add(store, "b")]);
    expect(end).toMatchObject({ reason: { code: "store_query_failed" } });
    expect(await transactionsOf(raw)).toEqual(["ab"]);
  });
});

describe("a group whose connection is lost", () => {
  const kill = "perform pg_terminate_backend(pg_backend_pid())";

  test("before its commit has happened for none", async () => {
    const { store, raw } = await openGrouping({
      migrations: [notes, trap("kill", "at once", kill)],
    });
    const ends = await Promise.allSettled([
      addAll(store, "a", 1),
      add(store, "b", "kill"),
      add(store, "c"),
    ]);
    for (const end of ends) expect(end).toMatchObject({ reason: { code: "store_unavailable" } });
    expect(await noteIds(raw)).toEqual([]);
    // A killed session lets go of its keys when the server notices.
    await until("the keys to be free", async () => {
      const { rows } = await raw.query(
        `select from pg_locks where locktype = 'advisory'
           and database = (select oid from pg_database where datname = current_database())`,
      );
      return rows.length === 0;
    });
    await Promise.all([addAll(store, "a", 1), add(store, "c")]);
    expect(await transactionsOf(raw)).toEqual(["ac"]);
  });

  test("during its commit may have happened, and the records tell", async () => {
    const { store, raw } = await openGrouping({
      migrations: [notes, trap("kill", "at commit", kill)],
    });
    const refusal = new Error("404");
    const refused = store.transact("refuses", async () => {
      throw refusal;
    });
    const [refusedEnd, ...ends] = await Promise.allSettled([
      refused,
      addAll(store, "a", 1),
      add(store, "b", "kill"),
    ]);
    expect(refusedEnd).toEqual({ status: "rejected", reason: refusal });
    for (const end of ends) {
      expect(end).toMatchObject({ reason: { code: "commit_outcome_unknown" } });
    }
    expect(await store.idempotency.find(digestOf("a"))).toBeUndefined();
    expect(await noteIds(raw)).toEqual([]);
  });
});

describe("while the database does not answer", () => {
  test("who waits for a group is told so when his time is over", async () => {
    const database = await newDatabase();
    const proxy = await startHalfOpenProxy(database.url);
    onTestFinished(() => proxy.close());
    const store = await openNode(proxy.url, { migrations: [notes], grouping: always, poolSize: 1 });
    await add(store, "before");
    proxy.blackhole();
    const first = Promise.allSettled([add(store, "a"), add(store, "b")]);
    await nextTurn();
    await nextTurn();
    const second = Promise.allSettled(Array.from({ length: 200 }, (_, n) => add(store, `${n}`)));
    await nextTurn();
    await nextTurn();
    store.clock.advance(1_500);
    for (const end of [...(await first), ...(await second)]) {
      expect(end).toMatchObject({ reason: { code: "store_unavailable" } });
    }
    proxy.resume();
    await add(store, "after");
    expect(await noteIds(await rawClient(database.url))).toEqual(["after", "before"]);
  });
});

test("a store that closes finishes the units that it has accepted, and refuses others", async () => {
  const { store, raw } = await openGrouping();
  const throws = store.transact("throws", async (tx) => {
    await addNote(tx, "undone");
    throw new Error("409");
  });
  const accepted = Promise.allSettled([throws, add(store, "a"), add(store, "b")]);
  const closed = store.close();
  await expect(add(store, "c")).rejects.toMatchObject({ code: "store_unavailable" });
  await closed;
  const ends = await accepted;
  expect(ends.map((end) => end.status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  expect(ends[0]).toMatchObject({ reason: { message: "409" } });
  expect(await noteIds(raw)).toEqual(["a", "b"]);
  expect(store.clock.pending).toBe(0);
});
