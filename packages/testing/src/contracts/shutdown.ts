import { describe, expect, test } from "vitest";
import { addNote, noteIds, statement } from "./samples.ts";
import type { StoreFixture } from "./fixture.ts";

/** {@link Store.close}. */
export function shutdownContract(fixture: StoreFixture): void {
  describe("closing a store", () => {
    test("finishes what it has accepted", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const accepted = Array.from({ length: 20 }, (_, index) =>
        store.transact("accepted", (tx) => addNote(tx, `note-${index}`)),
      );
      const closed = open.close();
      await expect(Promise.all(accepted)).resolves.toHaveLength(20);
      await closed;
      if (!fixture.persistent) return;
      await open.reopen();
      expect(await noteIds(open.store)).toHaveLength(20);
    });

    test("refuses whatever comes after it", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await noteIds(store);
      await open.close();
      const calls: (() => Promise<unknown>)[] = [
        () => store.transact("late", (tx) => addNote(tx, "a")),
        () => store.read("late", (reader) => reader.query(statement`select 1 as one`)),
        () => store.check(),
        () => store.jobs.claim("mail", "w1", 1),
        () => store.jobs.find("job_1"),
        () => store.events.read(0, 1),
        () => store.workers.heartbeat("w1"),
        () => store.idempotency.sweep(1, 1),
      ];
      for (const call of calls) {
        await expect(call(), String(call)).rejects.toMatchObject({
          code: "store_unavailable",
          retryable: true,
        });
      }
    });

    test("twice is closing once", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await Promise.all([store.close(), store.close()]);
      await expect(store.close()).resolves.toBeUndefined();
    });

    test("during a read lets the read end", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await store.transact("write", (tx) => addNote(tx, "a"));
      const begun = Promise.withResolvers<void>();
      const gate = Promise.withResolvers<void>();
      const reading = store.read("slow", async (reader) => {
        begun.resolve();
        await gate.promise;
        return reader.query(statement`select id from note`);
      });
      await begun.promise;
      const closed = open.close();
      gate.resolve();
      expect(await reading).toEqual([{ id: "a" }]);
      await closed;
    });
  });
}
