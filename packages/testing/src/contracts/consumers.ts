import { describe, expect, test } from "vitest";
import type { StoreFixture } from "./fixture.ts";
import { addEvent, addNote, noteIds } from "./samples.ts";

/** Cursors of the log's named readers, moved by the transaction that has their effects. */
export function consumersContract(fixture: StoreFixture): void {
  describe("a consumer", () => {
    test("begins before the first event", async () => {
      await using open = await fixture.open();
      const { value } = await open.store.transact("lock", (tx) => tx.lockConsumer("crm"));
      expect(value).toEqual({ cursor: 0, floor: 0 });
    });

    test("moves its cursor together with its effects, or not at all", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const seq = await addEvent(store, { id: "evt_1" });
      const undone = store.transact("undone", async (tx) => {
        await tx.lockConsumer("crm");
        await addNote(tx, "undone");
        await tx.advanceConsumer("crm", seq);
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      const { value: events } = await store.transact("done", async (tx) => {
        const state = await tx.lockConsumer("crm");
        expect(state).toEqual({ cursor: 0, floor: 0 });
        const found = await tx.readEvents(state?.cursor ?? -1, 10);
        await addNote(tx, "done");
        await tx.advanceConsumer("crm", seq);
        return found;
      });
      expect(events.map((event) => event.id)).toEqual(["evt_1"]);
      const { value } = await store.transact("look", (tx) => tx.lockConsumer("crm"));
      expect(value).toEqual({ cursor: seq, floor: 0 });
      expect(await noteIds(store)).toEqual(["done"]);
    });

    test("begins at what is kept, and is told when it has missed something", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (const id of ["a", "b", "c"]) await addEvent(store, { id, createdAt: 0 });
      const lock = async (name: string) =>
        (await store.transact("lock", (tx) => tx.lockConsumer(name))).value;
      expect(await lock("old")).toEqual({ cursor: 0, floor: 0 });
      await store.transact("move", async (tx) => {
        await tx.lockConsumer("old");
        await tx.advanceConsumer("old", 1);
      });
      await store.events.sweep(1_000, 10);
      expect(await lock("old")).toEqual({ cursor: 1, floor: 2 });
      expect(await lock("new")).toEqual({ cursor: 2, floor: 2 });
    });

    test("has a cursor of its own", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("crm", async (tx) => {
        await tx.lockConsumer("crm");
        await tx.advanceConsumer("crm", 5);
      });
      const { value } = await store.transact("sms", (tx) => tx.lockConsumer("sms"));
      expect(value).toEqual({ cursor: 0, floor: 0 });
    });

    test("is moved by one transaction at a time", async () => {
      await using open = await fixture.open();
      const { store } = open;
      // The first use makes the row; the contended ones below find it.
      await store.transact("first", (tx) => tx.lockConsumer("crm"));
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const holder = store.transact("holder", async (tx) => {
        await tx.lockConsumer("crm");
        begun.resolve();
        await gate.promise;
        await tx.advanceConsumer("crm", 3);
      });
      await begun.promise;
      const second = store.transact("second", (tx) => tx.lockConsumer("crm"));
      if (store.capabilities.serialWrites) {
        gate.resolve();
        expect((await second).value).toEqual({ cursor: 3, floor: 0 });
      } else {
        expect((await second).value).toBeUndefined();
        gate.resolve();
      }
      await holder;
      const { value } = await store.transact("look", (tx) => tx.lockConsumer("crm"));
      expect(value).toEqual({ cursor: 3, floor: 0 });
    });

    test("has each event's effects once, however many nodes feed it", async () => {
      await using open = await fixture.open();
      const { store } = open;
      for (let index = 0; index < 20; index += 1) await addEvent(store, { id: `evt_${index}` });
      const head = await store.events.head();
      const feed = async (): Promise<void> => {
        for (;;) {
          const { value: cursor } = await store.transact("feed", async (tx) => {
            const state = await tx.lockConsumer("crm");
            if (state === undefined) return 0;
            const events = await tx.readEvents(state.cursor, 3);
            for (const event of events) await addNote(tx, event.id);
            const last = events.at(-1);
            if (last !== undefined) await tx.advanceConsumer("crm", last.seq);
            return last?.seq ?? state.cursor;
          });
          if (cursor === head) return;
        }
      };
      await Promise.all([feed(), feed(), feed()]);
      expect(await noteIds(store)).toHaveLength(20);
    });

    if (fixture.persistent) {
      // A store in memory has no later life.
      test("stands after a restart where it stood before", async () => {
        await using open = await fixture.open();
        await open.store.transact("move", async (tx) => {
          await tx.lockConsumer("crm");
          await tx.advanceConsumer("crm", 42);
        });
        await open.crash();
        const { value } = await open.store.transact("look", (tx) => tx.lockConsumer("crm"));
        expect(value).toEqual({ cursor: 42, floor: 0 });
      });
    }
  });
}
