import { turns } from "@apiforge/testing";
import { faultyStore } from "@apiforge/testing/models";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { defineEvent, defineJob, type Answer, type Transaction } from "../../src/durable/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import { actor, answer, bytesOf, Harness, refusal, write } from "./harness.ts";

const added = defineEvent("thing.added", z.object({ id: z.string() }));
const followUp = defineJob("follow-up", {
  input: z.object({ id: z.string() }),
  run: async () => {},
});

let counter = 0;

/** One row, one event and one job. */
async function haveEffects(tx: Transaction): Promise<void> {
  const id = `thing-${(counter += 1)}`;
  await tx.sql`insert into note (id, body) values (${id}, ${"text"})`;
  tx.emit(added, { id });
  await tx.enqueue(followUp, { id });
}

/** A handler that has effects and answers 201 with a body that no other run answers. */
async function create(tx: Transaction): Promise<Answer> {
  await haveEffects(tx);
  return answer(201, { run: (counter += 1) });
}

const none = { notes: 0, events: 0, jobs: 0 };
const one = { notes: 1, events: 1, jobs: 1 };
const two = { notes: 2, events: 2, jobs: 2 };

describe.for(storeFixtures)("execute on $name", (fixture) => {
  test("answers a repeated request from the record, byte by byte", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const first = await durable.execute(write("k", create));
    if (!("answer" in first)) throw new Error("There is no answer");
    expect(first.outcome).toBe("fresh");
    for (let time = 0; time < 3; time += 1) {
      const again = await durable.execute(write("k", create));
      expect(again).toEqual({ outcome: "replayed", answer: first.answer, seq: first.seq });
    }
    expect(await harness.effects()).toEqual(one);
    const events = await harness.store.events.read(0, 10);
    expect(first.seq).toBe(events[0]?.seq);
  });

  test("replays any answer as it was", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    // PostgreSQL's text holds no NUL; a JSON body never has one, since JSON escapes it.
    const text = fc.string({ unit: "binary" }).filter((value) => !value.includes("\0"));
    let n = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 200, max: 499 }),
        fc.dictionary(fc.stringMatching(/^[a-z-]{1,12}$/), text, { maxKeys: 4 }),
        text,
        async (status, headers, body) => {
          const key = `any-${(n += 1)}`;
          const given: Answer = { status, headers: { ...headers }, body };
          const first = await durable.execute(write(key, async () => given));
          const again = await durable.execute(write(key, create));
          expect(first).toMatchObject({ outcome: "fresh", answer: given });
          expect(again).toEqual({ ...first, outcome: "replayed" });
        },
      ),
      { numRuns: 40 },
    );
    expect(await harness.effects()).toEqual(none);
  });

  test("has one effect however many equal requests come at once", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, () => durable.execute(write("k", create))),
    );
    const kinds = outcomes.map(({ outcome }) => outcome);
    expect(kinds.filter((kind) => kind === "fresh")).toHaveLength(1);
    for (const kind of kinds) expect(["fresh", "replayed", "in_flight"]).toContain(kind);
    expect(await harness.effects()).toEqual(one);
    expect(await durable.execute(write("k", create))).toMatchObject({ outcome: "replayed" });
  });

  test("has one effect when two nodes get the same requests", async () => {
    await using harness = await Harness.open(fixture);
    const nodes = [harness.node(), harness.node()];
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        await turns(index % 5);
        return nodes[index % 2]?.durable.execute(write("k", create));
      }),
    );
    const kinds = outcomes.map((outcome) => outcome?.outcome);
    expect(kinds.filter((kind) => kind === "fresh")).toHaveLength(1);
    for (const kind of kinds) expect(["fresh", "replayed", "in_flight"]).toContain(kind);
    expect(await harness.effects()).toEqual(one);
  });

  test("does not mix up different keys", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const outcomes = await Promise.all([
      durable.execute(write("a", create)),
      durable.execute(write("b", create)),
    ]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(["fresh", "fresh"]);
    expect(await harness.effects()).toEqual(two);
  });

  test("runs a request without a key every time", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    for (let time = 0; time < 2; time += 1) {
      expect(await durable.execute(write(undefined, create))).toMatchObject({ outcome: "fresh" });
    }
    expect(await harness.effects()).toEqual(two);
  });

  test("refuses another content under the same key, and keeps the first answer", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const first = await durable.execute(write("k", create, "content"));
    for (const content of ["contents", "Content", ""]) {
      expect(await durable.execute(write("k", create, content))).toEqual({ outcome: "mismatch" });
    }
    // One bit of the fingerprint decides.
    const request = write("k", create, "content");
    const fingerprint = bytesOf("content");
    fingerprint.set([(fingerprint[15] ?? 0) ^ 1], 15);
    const idempotency = { key: "k", digest: bytesOf("k"), fingerprint };
    expect(await durable.execute({ ...request, idempotency })).toEqual({ outcome: "mismatch" });
    expect(await durable.execute(write("k", create))).toEqual({ ...first, outcome: "replayed" });
    expect(await harness.effects()).toEqual(one);
  });

  test("says in_flight while the first request runs, and replays when it has ended", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const first = durable.execute(
      write("k", async (tx) => {
        begun.resolve();
        await gate.promise;
        return create(tx);
      }),
    );
    await begun.promise;
    expect(await durable.execute(write("k", create))).toEqual({ outcome: "in_flight" });
    expect(await durable.execute(write("k", create, "other"))).toEqual({ outcome: "in_flight" });
    gate.resolve();
    expect(await durable.execute(write("k", create))).toEqual({ outcome: "in_flight" });
    const done = await first;
    expect(await durable.execute(write("k", create))).toEqual({ ...done, outcome: "replayed" });
  });

  test("records a thrown refusal, without what was done before it", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    async function refuse(tx: Transaction): Promise<Answer> {
      await haveEffects(tx);
      throw refusal(409);
    }
    const first = await durable.execute(write("k", refuse));
    expect(first).toMatchObject({ outcome: "fresh", answer: { status: 409 } });
    expect(await harness.effects()).toEqual(none);
    expect(await durable.execute(write("k", create))).toEqual({ ...first, outcome: "replayed" });
    expect(await durable.execute(write("k", create, "other"))).toEqual({ outcome: "mismatch" });
    expect(await harness.effects()).toEqual(none);
  });

  test("answers a thrown refusal of a request without a key, and stores nothing", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const request = write(undefined, async (tx) => {
      await haveEffects(tx);
      throw refusal(422);
    });
    expect(await durable.execute(request)).toEqual({
      outcome: "fresh",
      answer: answer(422),
      seq: undefined,
    });
    expect(await harness.effects()).toEqual(none);
  });

  test("records a returned refusal together with its effects", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    async function decline(tx: Transaction): Promise<Answer> {
      await haveEffects(tx);
      return answer(402);
    }
    const first = await durable.execute(write("k", decline));
    expect(first).toMatchObject({ outcome: "fresh", answer: { status: 402 } });
    expect(await harness.effects()).toEqual(one);
    expect(await durable.execute(write("k", create))).toEqual({ ...first, outcome: "replayed" });
  });

  test("leaves no trace of a returned 5xx, and runs the retry", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    async function fail(tx: Transaction): Promise<Answer> {
      await haveEffects(tx);
      return answer(503);
    }
    expect(await durable.execute(write("k", fail))).toEqual({
      outcome: "fresh",
      answer: answer(503),
      seq: undefined,
    });
    expect(await harness.effects()).toEqual(none);
    // Not even the fingerprint is kept.
    const retry = await durable.execute(write("k", create, "other"));
    expect(retry).toMatchObject({ outcome: "fresh", answer: { status: 201 } });
  });

  test.for([
    ["an error of the handler", new Error("no")],
    ["an error of status 5xx", refusal(500)],
    ["something that is no error", "no"],
  ] as const)("leaves no trace of %s, rethrows it and runs the retry", async ([, thrown]) => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const failing = durable.execute(
      write("k", async (tx) => {
        await haveEffects(tx);
        const failed = Promise.withResolvers<Answer>();
        failed.reject(thrown);
        return failed.promise;
      }),
    );
    await expect(failing).rejects.toBe(thrown);
    expect(await harness.effects()).toEqual(none);
    expect(await durable.execute(write("k", create))).toMatchObject({ outcome: "fresh" });
    expect(await harness.effects()).toEqual(one);
  });

  test("leaves no trace of a handler that was cut off, and runs the retry", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const begun = Promise.withResolvers<void>();
    const cutOff = durable.execute(
      write("k", async (tx) => {
        await haveEffects(tx);
        begun.resolve();
        return new Promise<Answer>(() => {});
      }),
    );
    cutOff.catch(() => undefined);
    await begun.promise;
    await harness.open.advance(5_000);
    await expect(cutOff).rejects.toMatchObject({ code: "transaction_timeout" });
    expect(await harness.effects()).toEqual(none);
    expect(await durable.execute(write("k", create))).toMatchObject({ outcome: "fresh" });
  });

  test("finds the answer of a commit whose own answer was lost", async () => {
    await using harness = await Harness.open(fixture);
    const store = faultyStore(harness.store);
    const { durable } = harness.node({ store });
    store.nextFault = "unheard";
    const first = await durable.execute(write("k", create));
    expect(first).toMatchObject({ answer: { status: 201 } });
    expect(await harness.effects()).toEqual(one);
    const again = await durable.execute(write("k", create));
    expect(again).toEqual({ ...first, outcome: "replayed" });
    expect(await harness.effects()).toEqual(one);
  });

  test("passes the doubt on when the lost commit left nothing, and runs the retry", async () => {
    await using harness = await Harness.open(fixture);
    const store = faultyStore(harness.store);
    const { durable } = harness.node({ store });
    store.nextFault = "undone";
    const doubtful = durable.execute(write("k", create));
    await expect(doubtful).rejects.toMatchObject({ code: "commit_outcome_unknown" });
    expect(await harness.effects()).toEqual(none);
    expect(await durable.execute(write("k", create))).toMatchObject({ outcome: "fresh" });
    expect(await harness.effects()).toEqual(one);
  });

  test("passes the doubt on when there is no key to look it up by", async () => {
    await using harness = await Harness.open(fixture);
    const store = faultyStore(harness.store);
    const { durable } = harness.node({ store });
    store.nextFault = "unheard";
    const doubtful = durable.execute(write(undefined, create));
    await expect(doubtful).rejects.toMatchObject({ code: "commit_outcome_unknown" });
    expect(await harness.effects()).toEqual(one);
  });

  test("frees a key whose request failed for any reason", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const failing = durable.execute(
      write("k", () => {
        throw new Error("before the first wait");
      }),
    );
    await expect(failing).rejects.toThrow("before the first wait");
    expect(await durable.execute(write("k", create))).toMatchObject({ outcome: "fresh" });
  });

  if (fixture.persistent) {
    // A store in memory has no later life in which to replay.
    test("replays after the process was killed", async () => {
      await using harness = await Harness.open(fixture);
      const node = harness.node();
      const first = await node.durable.execute(write("k", create));
      harness.forget(node);
      await harness.open.crash();
      const { durable } = harness.node();
      expect(await durable.execute(write("k", create))).toEqual({ ...first, outcome: "replayed" });
      expect(await harness.effects()).toEqual(one);
    });
  }
});

describe.for(storeFixtures)("a commit outside of requests on $name", (fixture) => {
  test("has its effects, answers its value and is read on a snapshot", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const value = await durable.transact("set up", actor, async (tx) => {
      await haveEffects(tx);
      return "value";
    });
    expect(value).toBe("value");
    expect(await harness.effects()).toEqual(one);
    const rows = await durable.read("list", (reader) => reader.sql`select body from note`);
    expect(rows).toEqual([{ body: "text" }]);
    const [event] = await harness.store.events.read(0, 1);
    expect(event).toMatchObject(actor);
    expect(await harness.job()).toMatchObject({ ...actor, type: "follow-up", queue: "default" });
  });

  test("is all or nothing", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const failing = durable.transact("set up", actor, async (tx) => {
      await haveEffects(tx);
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await harness.effects()).toEqual(none);
  });

  test("refuses an event that does not satisfy its schema", async () => {
    await using harness = await Harness.open(fixture);
    const { durable } = harness.node();
    const failing = durable.transact("set up", actor, async (tx) => {
      await haveEffects(tx);
      // @ts-expect-error -- the schema wants text
      tx.emit(added, { id: 7 });
    });
    await expect(failing).rejects.toMatchObject({ code: "event_invalid" });
    expect(await harness.effects()).toEqual(none);
  });
});
