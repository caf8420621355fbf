import { describe, expect, test } from "vitest";
import type { LogEvent, Store } from "apiforge/internal/store";
import { turns } from "../until.ts";
import { addEvent, sampleEvent } from "./samples.ts";
import type { StoreFixture } from "./fixture.ts";

/** Reads the log to its present end, `limit` events at a time, from where `seen` ends. */
async function catchUp(store: Store, seen: LogEvent[], limit: number): Promise<void> {
  for (;;) {
    const batch = await store.events.read(seen.at(-1)?.seq ?? 0, limit);
    seen.push(...batch);
    if (batch.length === 0) return;
  }
}

function seqs(events: readonly LogEvent[]): number[] {
  return events.map((event) => event.seq);
}

function ids(events: readonly LogEvent[]): string[] {
  return events.map((event) => event.id);
}

/** The committed log. */
export function eventsContract(fixture: StoreFixture): void {
  describe("the log", () => {
    test("is empty at first", async () => {
      await using open = await fixture.open();
      expect(await open.store.events.head()).toBe(0);
      expect(await open.store.events.read(0, 10)).toEqual([]);
    });

    test("gives back an event as it was put in", async () => {
      await using open = await fixture.open();
      const event = sampleEvent({
        id: "evt_1",
        type: "project.created",
        tenant: "ten_ü",
        data: JSON.stringify({ text: "\u0000 \u{1f600} \ud800", deep: [1, null] }),
        requestId: "req_9",
        createdAt: 1_812_345_678_901,
      });
      const seq = await addEvent(open.store, event);
      expect(await open.store.events.read(0, 10)).toEqual([{ ...event, seq }]);
      expect(await open.store.events.head()).toBe(seq);
    });

    test("keeps the order of commits, and inside a commit that of the calls", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const batch of [["a", "b"], ["c"], ["d", "e", "f"]]) {
        await store.transact("batch", async (tx) => {
          for (const id of batch) tx.appendEvent(sampleEvent({ id }));
        });
      }
      const events = await store.events.read(0, 10);
      expect(ids(events)).toEqual(["a", "b", "c", "d", "e", "f"]);
      expect(seqs(events)).toEqual(seqs(events).toSorted((a, b) => a - b));
      expect(new Set(seqs(events)).size).toBe(6);
    });

    test("reads after a position, up to a limit, and nothing past the head", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c", "d"]) await addEvent(store, { id });
      const all = await store.events.read(0, 100);
      const [first, second] = all;
      if (first === undefined || second === undefined) throw new Error("Events are missing");
      expect(ids(await store.events.read(0, 2))).toEqual(["a", "b"]);
      expect(ids(await store.events.read(first.seq, 2))).toEqual(["b", "c"]);
      expect(ids(await store.events.read(second.seq, 100))).toEqual(["c", "d"]);
      const head = await store.events.head();
      expect(head).toBe(all.at(-1)?.seq);
      expect(await store.events.read(head, 100)).toEqual([]);
      expect(await store.events.read(head + 1_000, 100)).toEqual([]);
    });

    test("has no hole that a reader stops at where a transaction was rolled back", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await addEvent(store, { id: "a" });
      const undone = store.transact("undone", async (tx) => {
        tx.appendEvent(sampleEvent({ id: "undone" }));
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      await addEvent(store, { id: "b" });
      const seen: LogEvent[] = [];
      await catchUp(store, seen, 1);
      expect(ids(seen)).toEqual(["a", "b"]);
      expect(await store.events.head()).toBe(seen.at(-1)?.seq);
    });

    test("shows every commit to every reader, in one order, while many publish", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const published: string[] = [];
      const publishers = Array.from({ length: 60 }, async (_, index) => {
        await turns(index % 7);
        const names = Array.from({ length: 1 + (index % 3) }, (_, part) => `${index}.${part}`);
        const committed = await store
          .transact("publish", async (tx) => {
            for (const id of names) tx.appendEvent(sampleEvent({ id }));
            await turns(index % 4);
            for (const id of names) tx.appendEvent(sampleEvent({ id: `${id}b` }));
            if (index % 5 === 0) throw new Error("no");
          })
          .catch(() => undefined);
        if (committed === undefined) return;
        published.push(...names, ...names.map((id) => `${id}b`));
        // What is acknowledged is readable at once, and lies at or below the head.
        expect(await store.events.head()).toBeGreaterThanOrEqual(committed.seq);
        const last = await store.events.read(committed.seq - 1, 1);
        expect(last[0]?.id).toBe(`${names.at(-1)}b`);
      });
      const publishing = { isOver: false };
      const readers = [1, 7].map(async (limit) => {
        const seen: LogEvent[] = [];
        while (!publishing.isOver) {
          await catchUp(store, seen, limit);
          await turns(1);
        }
        await catchUp(store, seen, limit);
        return seen;
      });
      await Promise.all(publishers).finally(() => {
        publishing.isOver = true;
      });
      const [slow, fast] = await Promise.all(readers);
      if (slow === undefined || fast === undefined) throw new Error("A reader is missing");
      expect(ids(slow)).toEqual(ids(fast));
      expect(ids(slow).toSorted()).toEqual(published.toSorted());
      expect(seqs(slow)).toEqual(seqs(slow).toSorted((a, b) => a - b));
    });

    test("can be read inside a transaction as outside", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c"]) await addEvent(store, { id });
      const outside = await store.events.read(1, 1);
      const inside = await store.transact("read", (tx) => tx.readEvents(1, 1));
      expect(inside.value).toEqual(outside);
    });

    test("is swept from its beginning, up to the first that is young, and never of its last", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      const hourMs = 3_600_000;
      const old = clock.now() - 2 * hourMs;
      for (const id of ["a", "b", "c"]) await addEvent(store, { id, createdAt: old });
      await addEvent(store, { id: "young", createdAt: clock.now() });
      await addEvent(store, { id: "behind", createdAt: old });
      expect(await store.events.floor()).toBe(0);
      expect(await store.events.sweep(3 * hourMs, 10)).toBe(0);
      expect(await store.events.sweep(hourMs, 2)).toBe(2);
      expect(await store.events.sweep(hourMs, 2)).toBe(1);
      expect(await store.events.sweep(hourMs, 2)).toBe(0);
      expect(ids(await store.events.read(3, 10))).toEqual(["young", "behind"]);
      await open.advance(2 * hourMs);
      expect(await store.events.sweep(hourMs, 10)).toBe(1);
      expect(await store.events.sweep(hourMs, 10)).toBe(0);
      const head = await store.events.head();
      expect(await store.events.floor()).toBe(head - 1);
      expect(ids(await store.events.read(head - 1, 10))).toEqual(["behind"]);
      if (fixture.persistent) await open.reopen();
      expect(await open.store.events.head()).toBe(head);
      const { seq } = await open.store.transact("nothing", async () => {});
      expect(seq).toBe(head);
    });

    test("tells a reader who stands before what was deleted, inside a transaction as outside", async () => {
      await using open = await fixture.open();
      const { store, clock } = open;
      for (const id of ["a", "b", "c"]) {
        await addEvent(store, { id, createdAt: clock.now() - 2_000 });
      }
      await store.events.sweep(1_000, 1);
      const refusal = {
        code: "events_swept",
        message: expect.stringContaining("Begin after 1,"),
      };
      await expect(store.events.read(0, 10)).rejects.toMatchObject(refusal);
      const inside = store.transact("read", (tx) => tx.readEvents(0, 10));
      await expect(inside).rejects.toMatchObject(refusal);
      expect(ids(await store.events.read(1, 10))).toEqual(["b", "c"]);
      await store.events.sweep(1_000, 10);
      await expect(store.events.read(1, 10)).rejects.toMatchObject({ code: "events_swept" });
      expect(ids(await store.events.read(await store.events.floor(), 10))).toEqual(["c"]);
    });

    test("gives no position twice, though its last event was deleted", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const last = await addEvent(store);
      await store.transact("delete", (tx) => tx.queryText("delete from forge_events", []));
      if (fixture.persistent) await open.reopen();
      expect(await addEvent(open.store)).toBeGreaterThan(last);
    });
  });
}
