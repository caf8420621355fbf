import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { digestOf, addNote, noteIds, sampleEvent, sampleRecord } from "./samples.ts";
import type { StoreFixture } from "./fixture.ts";
import type { Store } from "apiforge/internal/store";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Commits a record without effects. */
async function record(store: Store, key: string): Promise<void> {
  await store.transact("record", async (tx) => {
    const claim = await tx.claimKey(digestOf(key));
    if (claim.outcome !== "free") throw new Error(`${key} is not free`);
    tx.recordAnswer(sampleRecord(key));
  });
}

async function recordedKeys(store: Store, keys: readonly string[]): Promise<string[]> {
  const found = await Promise.all(keys.map((key) => store.idempotency.find(digestOf(key))));
  return keys.filter((_, index) => found[index] !== undefined);
}

/** Keys and the answers recorded under them. */
export function idempotencyContract(fixture: StoreFixture): void {
  describe("an idempotency key", () => {
    test("is free, and after a commit recorded with all of the answer", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const at = clock.now();
      const answer = sampleRecord("k", {
        status: 201,
        headers: { "content-type": "application/json", etag: '"ü1"' },
        body: '{"text":"häßlich \\u0000 \u{1f600}"}',
      });
      const { seq } = await store.transact("first", async (tx) => {
        expect(await tx.claimKey(answer.digest)).toEqual({ outcome: "free" });
        tx.appendEvent(sampleEvent());
        tx.recordAnswer(answer);
      });
      await open.advance(5_000);
      await store.transact("later event", async (tx) => tx.appendEvent(sampleEvent()));
      const stored = await store.idempotency.find(answer.digest);
      const claim = await store.transact("second", (tx) => tx.claimKey(answer.digest));
      expect(claim.value).toEqual({ outcome: "recorded", answer: stored });
      expect(stored).toMatchObject({
        key: "k",
        status: 201,
        headers: answer.headers,
        body: answer.body,
        seq,
        createdAt: at,
      });
      expect(Buffer.from(stored?.digest ?? []).equals(answer.digest)).toBe(true);
      expect(Buffer.from(stored?.fingerprint ?? []).equals(answer.fingerprint)).toBe(true);
    });

    test("stays free when its transaction is rolled back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const failing = store.transact("first", async (tx) => {
        await tx.claimKey(digestOf("k"));
        tx.recordAnswer(sampleRecord("k"));
        throw new Error("no");
      });
      await expect(failing).rejects.toThrow("no");
      expect(await store.idempotency.find(digestOf("k"))).toBeUndefined();
      await expect(record(store, "k")).resolves.toBeUndefined();
    });

    test("stays free when it was claimed and not answered", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("claim only", (tx) => tx.claimKey(digestOf("k")));
      await expect(record(store, "k")).resolves.toBeUndefined();
    });

    test("has one effect however many transactions want it at once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const attempts = Array.from({ length: 40 }, (_, index) =>
        store.transact("claim", async (tx) => {
          const claim = await tx.claimKey(digestOf("k"));
          if (claim.outcome !== "free") return claim.outcome;
          await addNote(tx, `note-${index}`);
          tx.recordAnswer(sampleRecord("k"));
          return claim.outcome;
        }),
      );
      const outcomes = (await Promise.all(attempts)).map((committed) => committed.value);
      expect(outcomes.filter((outcome) => outcome === "free")).toHaveLength(1);
      const allowed = store.capabilities.serialWrites
        ? ["free", "recorded"]
        : ["free", "recorded", "in_flight"];
      for (const outcome of outcomes) expect(allowed).toContain(outcome);
      expect(await noteIds(store)).toHaveLength(1);
    });

    test("that another transaction holds is in flight, where transactions run side by side", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const holder = store.transact("holder", async (tx) => {
        await tx.claimKey(digestOf("k"));
        begun.resolve();
        await gate.promise;
        tx.recordAnswer(sampleRecord("k"));
      });
      await begun.promise;
      const second = store.transact("second", (tx) => tx.claimKey(digestOf("k")));
      const other = store.transact("other key", (tx) => tx.claimKey(digestOf("other")));
      if (store.capabilities.serialWrites) {
        // There is no second transaction before the first has ended.
        gate.resolve();
        expect((await second).value.outcome).toBe("recorded");
      } else {
        expect((await second).value).toEqual({ outcome: "in_flight" });
        expect((await other).value).toEqual({ outcome: "free" });
        gate.resolve();
      }
      await holder;
      expect((await other).value).toEqual({ outcome: "free" });
      const last = await store.transact("after", (tx) => tx.claimKey(digestOf("k")));
      expect(last.value.outcome).toBe("recorded");
    });

    test("that was recorded first by somebody else fails the commit, effects and all", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await record(store, "k");
      const second = store.transact("second", async (tx) => {
        await addNote(tx, "a");
        tx.appendEvent(sampleEvent());
        tx.recordAnswer(sampleRecord("k", { body: "other" }));
      });
      await expect(second).rejects.toMatchObject({ code: "idempotency_key_taken" });
      expect(await noteIds(store)).toEqual([]);
      expect(await store.events.head()).toBe(0);
      expect((await store.idempotency.find(digestOf("k")))?.body).toBe(sampleRecord("k").body);
    });

    test("is told from every other by all of its 16 bytes", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const seen = new Map<string, string>();
      let n = 0;
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ minLength: 16, maxLength: 16 }), async (digest) => {
          const hex = Buffer.from(digest).toString("hex");
          const before = await store.idempotency.find(digest);
          expect(before?.body).toBe(seen.get(hex));
          if (before !== undefined) return;
          const body = `answer ${(n += 1)}`;
          await store.transact("record", async (tx) => {
            await tx.claimKey(digest);
            tx.recordAnswer(sampleRecord("k", { digest, fingerprint: digest, body }));
          });
          seen.set(hex, body);
          const after = await store.idempotency.find(digest);
          expect(after?.body).toBe(body);
          expect(Buffer.from(after?.fingerprint ?? []).equals(digest)).toBe(true);
        }),
        {
          numRuns: 40,
          examples: [
            [new Uint8Array(16)],
            [new Uint8Array(16).fill(255)],
            [Uint8Array.from({ length: 16 }, (_, index) => index)],
            [Uint8Array.from({ length: 16 }, (_, index) => 240 + index)],
            // Differs from the first in its last byte only.
            [new Uint8Array(16).fill(1, 15)],
          ],
        },
      );
    });

    test("keeps an answer of a megabyte", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const body = JSON.stringify({ text: "é".repeat(500_000) });
      await store.transact("big", async (tx) => {
        await tx.claimKey(digestOf("k"));
        tx.recordAnswer(sampleRecord("k", { body }));
      });
      expect((await store.idempotency.find(digestOf("k")))?.body === body).toBe(true);
    });
  });

  describe("a sweep of answers", () => {
    test("takes what is older than the retention, to the second", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await record(store, "old");
      await open.advance(2_000);
      await record(store, "young");
      // `old` is now one second short of a day, then one second past it.
      await open.advance(dayMs - 3_000);
      expect(await store.idempotency.sweep(dayMs, 100)).toBe(0);
      await open.advance(2_000);
      expect(await store.idempotency.sweep(dayMs, 100)).toBe(1);
      expect(await recordedKeys(store, ["old", "young"])).toEqual(["young"]);
      await expect(record(store, "old")).resolves.toBeUndefined();
    });

    test("takes at most its limit, the oldest first", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const keys = ["a", "b", "c", "d", "e"];
      for (const key of keys) await record(store, key);
      await open.advance(hourMs + 1);
      expect(await store.idempotency.sweep(hourMs, 2)).toBe(2);
      expect(await recordedKeys(store, keys)).toEqual(["c", "d", "e"]);
      expect(await store.idempotency.sweep(hourMs, 100)).toBe(3);
      expect(await store.idempotency.sweep(hourMs, 100)).toBe(0);
    });

    test("takes nothing too early when the clock was set back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await record(store, "k");
      await open.advance(-hourMs);
      expect(await store.idempotency.sweep(hourMs, 100)).toBe(0);
      await record(store, "earlier");
      await open.advance(hourMs + 1);
      expect(await store.idempotency.sweep(hourMs, 100)).toBeLessThanOrEqual(1);
      expect(await recordedKeys(store, ["k"])).toEqual(["k"]);
    });
  });
}
