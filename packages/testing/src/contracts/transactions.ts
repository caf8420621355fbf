import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { StoreTransaction } from "apiforge/internal/store";
import { recordingLog } from "../recording-log.ts";
import { turns } from "../until.ts";
import type { StoreFixture } from "./fixture.ts";
import {
  addNote,
  digestOf,
  noteIds,
  sampleEvent,
  sampleJob,
  sampleRecord,
  statement,
} from "./samples.ts";

/** Everything that one transaction can put into its commit. */
async function doEverything(tx: StoreTransaction, name: string): Promise<void> {
  await tx.claimKey(digestOf(name));
  await addNote(tx, name);
  tx.insertJob(sampleJob({ id: `job_${name}` }));
  await tx.insertUniqueJob(sampleJob({ id: `job_unique_${name}`, dedupeKey: name }));
  tx.appendEvent(sampleEvent({ id: `evt_${name}` }));
  await tx.lockConsumer(name);
  await tx.advanceConsumer(name, 7);
  tx.recordAnswer(sampleRecord(name));
}

/** What {@link doEverything} can leave behind, as a later transaction finds it. */
async function tracesOf(open: Awaited<ReturnType<StoreFixture["open"]>>, name: string) {
  const { store } = open;
  const { value: cursor } = await store.transact("look", async (tx) => {
    return (await tx.lockConsumer(name))?.cursor;
  });
  return {
    note: (await noteIds(store)).includes(name),
    job: (await store.jobs.find(`job_${name}`)) !== undefined,
    uniqueJob: (await store.jobs.find(`job_unique_${name}`)) !== undefined,
    event: (await store.events.read(0, 100)).some((event) => event.id === `evt_${name}`),
    answer: (await store.idempotency.find(digestOf(name))) !== undefined,
    cursor,
  };
}

const everything = {
  note: true,
  job: true,
  uniqueJob: true,
  event: true,
  answer: true,
  cursor: 7,
};
const nothing = {
  note: false,
  job: false,
  uniqueJob: false,
  event: false,
  answer: false,
  cursor: 0,
};

/** How one of many concurrent transactions goes. */
const fates = ["commits", "throws", "breaks a constraint"] as const;

/** Commit, rollback and isolation: {@link Store.transact} and {@link Store.read}. */
export function transactionsContract(fixture: StoreFixture): void {
  describe("a transaction", () => {
    test("commits all that was put into it", async () => {
      await using open = await fixture.open();
      await open.store.transact("all", (tx) => doEverything(tx, "a"));
      expect(await tracesOf(open, "a")).toEqual(everything);
    });

    test("that throws leaves nothing and rethrows what was thrown", async () => {
      await using open = await fixture.open();
      const thrown = new Error("no");
      const attempt = open.store.transact("all", async (tx) => {
        await doEverything(tx, "a");
        throw thrown;
      });
      await expect(attempt).rejects.toBe(thrown);
      expect(await tracesOf(open, "a")).toEqual(nothing);
    });

    test("that throws before it waits for anything is rolled back too", async () => {
      await using open = await fixture.open();
      const thrown = new Error("no");
      const attempt = open.store.transact("sync", (tx) => {
        tx.appendEvent(sampleEvent());
        throw thrown;
      });
      await expect(attempt).rejects.toBe(thrown);
      expect(await open.store.events.head()).toBe(0);
    });

    test("answers the value of its work", async () => {
      await using open = await fixture.open();
      const value = { deep: [1, undefined, new Date(0)] };
      const committed = await open.store.transact("value", async () => value);
      expect(committed.value).toBe(value);
    });

    test("answers the seq of its last event, or the log's head when it has none", async () => {
      await using open = await fixture.open();
      const { store } = open;
      expect((await store.transact("none", async () => 0)).seq).toBe(0);
      const two = await store.transact("two", async (tx) => {
        tx.appendEvent(sampleEvent({ id: "evt_1" }));
        tx.appendEvent(sampleEvent({ id: "evt_2" }));
      });
      const last = (await store.events.read(0, 10)).at(-1);
      expect(last).toMatchObject({ id: "evt_2", seq: two.seq });
      expect((await store.transact("none", async () => 0)).seq).toBe(two.seq);
    });

    test("sees its own rows before the commit", async () => {
      await using open = await fixture.open();
      const { value } = await open.store.transact("own", async (tx) => {
        await addNote(tx, "a");
        return tx.query(statement`select id from note`);
      });
      expect(value).toEqual([{ id: "a" }]);
    });

    test.for([
      ["committed", false],
      ["rolled back", true],
    ] as const)("refuses every call once it is %s", async ([, fails]) => {
      await using open = await fixture.open();
      let kept: StoreTransaction | undefined;
      const ended = open.store.transact("keep", async (tx) => {
        kept = tx;
        if (fails) throw new Error("no");
      });
      await ended.catch(() => undefined);
      const tx = kept;
      if (tx === undefined) throw new Error("The work did not run");
      const calls: (() => unknown)[] = [
        () => tx.query(statement`select 1 as one`),
        () => tx.queryText("select 1 as one", []),
        () => tx.claimKey(digestOf("k")),
        () => tx.recordAnswer(sampleRecord("k")),
        () => tx.appendEvent(sampleEvent()),
        () => tx.insertJob(sampleJob()),
        () => tx.insertUniqueJob(sampleJob({ dedupeKey: "k" })),
        () => tx.completeJob({ n: 1, fence: 1 }),
        () => tx.lockConsumer("c"),
        () => tx.readEvents(0, 1),
        () => tx.advanceConsumer("c", 1),
      ];
      for (const call of calls) {
        const outcome = (async () => call())();
        await expect(outcome, String(call)).rejects.toMatchObject({ code: "transaction_closed" });
      }
      expect(await open.store.events.head()).toBe(0);
    });

    test("that waits too long is cut off, named in the log, and leaves nothing", async () => {
      const log = recordingLog();
      await using open = await fixture.open({ transactionLimitMs: 1_000, log });
      const { store } = open;
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const late = Promise.withResolvers<unknown>();
      const cutOff = store.transact("POST /slow", async (tx) => {
        await doEverything(tx, "slow");
        begun.resolve();
        await gate.promise;
        late.resolve(addNote(tx, "late").catch((error: unknown) => error));
      });
      cutOff.catch(() => undefined);
      await begun.promise;
      await open.advance(999);
      await turns(5);
      await open.advance(1);
      await expect(cutOff).rejects.toMatchObject({ code: "transaction_timeout", retryable: true });
      expect(log.entries.some((entry) => entry.fields["label"] === "POST /slow")).toBe(true);
      gate.resolve();
      expect(await late.promise).toMatchObject({ code: "transaction_closed" });
      expect(await tracesOf(open, "slow")).toEqual(nothing);
      await store.transact("after", (tx) => addNote(tx, "after"));
      expect(await noteIds(store)).toEqual(["after"]);
    });

    test("that ends in time is not cut off later", async () => {
      const log = recordingLog();
      await using open = await fixture.open({ transactionLimitMs: 1_000, log });
      await open.store.transact("fast", (tx) => addNote(tx, "a"));
      await open.store
        .transact("fails at once", () => {
          throw new Error("no");
        })
        .catch(() => undefined);
      await open.advance(10_000);
      expect(log.entries.filter((entry) => entry.level === "error")).toEqual([]);
      expect(await noteIds(open.store)).toEqual(["a"]);
    });

    test("that swallows the failure of a statement commits wholly or not at all", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("first", (tx) => addNote(tx, "a"));
      const outcome = await store
        .transact("second", async (tx) => {
          await addNote(tx, "before");
          await addNote(tx, "a").catch(() => undefined);
          await addNote(tx, "after");
          tx.appendEvent(sampleEvent());
        })
        .then(
          () => "committed",
          () => "refused",
        );
      const ids = await noteIds(store);
      const events = await store.events.read(0, 10);
      if (outcome === "committed") {
        expect(ids).toEqual(["a", "after", "before"]);
        expect(events).toHaveLength(1);
      } else {
        expect(ids).toEqual(["a"]);
        expect(events).toEqual([]);
      }
    });
  });

  describe("concurrent transactions", () => {
    test("lose no update", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("start", (tx) =>
        tx.query(statement`insert into sample (n, whole) values (${1}, ${0})`),
      );
      const increments = Array.from({ length: 50 }, () =>
        store.transact("increment", (tx) =>
          tx.query(statement`update sample set whole = whole + 1 where n = ${1}`),
        ),
      );
      await Promise.all(increments);
      const [row] = await store.read("total", (reader) =>
        reader.query(statement`select whole from sample`),
      );
      expect(Number(row?.["whole"])).toBe(50);
    });

    test("are not touched by the failures of their neighbours", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("taken", (tx) => addNote(tx, "taken"));
      let round = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.constantFrom(...fates), fc.nat(2)), { maxLength: 20 }),
          async (plan) => {
            round += 1;
            const before = await store.events.head();
            const outcomes = await Promise.allSettled(
              plan.map(([fate, waits], index) =>
                store.transact(fate, async (tx) => {
                  const id = `${round}-${index}`;
                  tx.appendEvent(sampleEvent({ id }));
                  await addNote(tx, id);
                  for (let wait = 0; wait < waits; wait += 1) await nextTurn();
                  if (fate === "throws") throw new Error("no");
                  if (fate === "breaks a constraint") await addNote(tx, "taken");
                  return id;
                }),
              ),
            );
            const wanted = plan.flatMap(([fate], index) =>
              fate === "commits" ? [`${round}-${index}`] : [],
            );
            const told = outcomes.flatMap((outcome) =>
              outcome.status === "fulfilled" ? [outcome.value.value] : [],
            );
            const ids = (await noteIds(store)).filter((id) => id.startsWith(`${round}-`));
            const events = await store.events.read(before, 100);
            expect(told).toEqual(wanted);
            expect(ids.sort()).toEqual(wanted.toSorted());
            expect(events.map((event) => event.id).sort()).toEqual(wanted.toSorted());
          },
        ),
        { numRuns: 15 },
      );
    });
  });

  describe("a read", () => {
    test("sees what was committed before it, and never what is rolled back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("kept", (tx) => addNote(tx, "kept"));
      const failing = store.transact("undone", async (tx) => {
        await addNote(tx, "undone");
        await turns(3);
        throw new Error("no");
      });
      failing.catch(() => undefined);
      const reads = [noteIds(store), turns(1).then(() => noteIds(store)), noteIds(store)];
      expect(await Promise.all(reads)).toEqual([["kept"], ["kept"], ["kept"]]);
      await expect(failing).rejects.toThrow("no");
    });

    test("keeps one snapshot to its end", async () => {
      await using open = await fixture.open();
      const { store } = open;
      let writing: Promise<unknown> = Promise.resolve();
      const counts = await store.read("count twice", async (reader) => {
        const first = await reader.query(statement`select id from note`);
        writing = store.transact("between", (tx) => addNote(tx, "a"));
        await turns(20);
        const second = await reader.query(statement`select id from note`);
        return [first.length, second.length];
      });
      expect(counts).toEqual([0, 0]);
      await writing;
      expect(await noteIds(store)).toEqual(["a"]);
    });

    test("cannot write, and says so without a hint to try again", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const refused = { code: "store_query_failed", retryable: false };
      const insert = store.read("insert", (reader) => addNote(reader, "a"));
      await expect(insert).rejects.toMatchObject(refused);
      const ddl = store.read("ddl", (reader) => reader.queryText("create table new (a int)", []));
      await expect(ddl).rejects.toMatchObject(refused);
      expect(await noteIds(store)).toEqual([]);
      await store.transact("write", (tx) => addNote(tx, "b"));
      expect(await noteIds(store)).toEqual(["b"]);
    });

    test("offers nothing but queries", async () => {
      await using open = await fixture.open();
      await open.store.read("keys", async (reader) => {
        expect("appendEvent" in reader).toBe(false);
        expect("insertJob" in reader).toBe(false);
      });
    });

    test("that throws rethrows, and the next one works", async () => {
      await using open = await fixture.open();
      const thrown = new Error("no");
      const failing = open.store.read("throw", async () => {
        throw thrown;
      });
      await expect(failing).rejects.toBe(thrown);
      const broken = open.store.read("bad", (reader) => reader.queryText("select from", []));
      await expect(broken).rejects.toMatchObject({ code: "store_query_failed" });
      expect(await noteIds(open.store)).toEqual([]);
    });

    test("is refused after its end", async () => {
      await using open = await fixture.open();
      const reader = await open.store.read("keep", async (reader) => reader);
      await expect(reader.query(statement`select 1 as one`)).rejects.toMatchObject({
        code: "transaction_closed",
      });
      await expect(reader.queryText("select 1 as one", [])).rejects.toMatchObject({
        code: "transaction_closed",
      });
    });

    test("that waits too long is cut off and blocks no later write", async () => {
      await using open = await fixture.open({ transactionLimitMs: 1_000 });
      const { store } = open;
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const late = Promise.withResolvers<unknown>();
      const cutOff = store.read("GET /slow", async (reader) => {
        await reader.query(statement`select id from note`);
        begun.resolve();
        await gate.promise;
        late.resolve(reader.query(statement`select id from note`).catch((error: unknown) => error));
      });
      cutOff.catch(() => undefined);
      await begun.promise;
      await open.advance(1_000);
      await expect(cutOff).rejects.toMatchObject({ code: "transaction_timeout" });
      await store.transact("write", (tx) => addNote(tx, "a"));
      expect(await noteIds(store)).toEqual(["a"]);
      gate.resolve();
      expect(await late.promise).toMatchObject({ code: "transaction_closed" });
    });
  });

  test("a healthy store says so", async () => {
    await using open = await fixture.open();
    await expect(open.store.check()).resolves.toBeUndefined();
  });
}
