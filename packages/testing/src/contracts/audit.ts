import { newId } from "apiforge/internal/kernel";
import {
  auditSealerName,
  sealsAfter,
  type AuditEntry,
  type NewAuditEntry,
  type Store,
} from "apiforge/internal/store";
import { describe, expect, test } from "vitest";
import type { StoreFixture } from "./fixture.ts";

/** An entry about `note.added`, with the given differences. */
function sampleEntry(differences: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return {
    id: newId("aud"),
    tenant: "ten_1",
    subject: "usr_1",
    action: "note.added",
    detail: "{}",
    requestId: "req_1",
    createdAt: 1_700_000_000_000,
    ...differences,
  };
}

async function append(store: Store, ...ids: readonly string[]): Promise<void> {
  await store.transact("append", async (tx) => {
    for (const id of ids) tx.appendAudit(sampleEntry({ id }));
  });
}

async function pending(store: Store, limit = 100): Promise<readonly AuditEntry[]> {
  const { value } = await store.transact("look", (tx) => tx.audit.pending(limit));
  return value.entries;
}

async function seal(store: Store, limit = 100): Promise<number> {
  const { value } = await store.transact("seal", async (tx) => {
    if ((await tx.lockConsumer(auditSealerName)) === undefined) return 0;
    const { head, entries } = await tx.audit.pending(limit);
    await tx.audit.seal(sealsAfter(head, entries));
    return entries.length;
  });
  return value;
}

/** Every way to change what has been written. */
const changes = {
  both: ["forge_audit", "forge_audit_seals"].flatMap((table) => [
    `update ${table} set n = n`,
    `delete from ${table}`,
  ]),
  sqlite: [
    `replace into forge_audit (n, id, tenant, action, detail, request_id, created_at)
     select n, 'forged', tenant, action, detail, request_id, created_at from forge_audit`,
    "replace into forge_audit_seals (position, n, hash) select position, n, x'00' from forge_audit_seals",
  ],
  postgres: ["truncate forge_audit", "truncate forge_audit_seals"],
} as const;

/** The audit log. */
export function auditContract(fixture: StoreFixture): void {
  describe("entries", () => {
    test("are there with their commit as they were put in, and wait for their seals", async () => {
      await using open = await fixture.open();
      const first = sampleEntry({
        tenant: "ten_ü",
        subject: null,
        detail: JSON.stringify({ text: "\u0000 \u{1f600} \ud800", deep: [1, null] }),
        createdAt: 1_812_345_678_901,
      });
      const second = sampleEntry({ action: "note.removed" });
      await open.store.transact("two", async (tx) => {
        tx.appendAudit(first);
        tx.appendAudit(second);
      });
      const entries = await pending(open.store);
      expect(entries).toMatchObject([first, second]);
      expect(await pending(open.store, 1)).toEqual(entries.slice(0, 1));
    });

    test("are not there when their transaction fails", async () => {
      await using open = await fixture.open();
      const undone = open.store.transact("undone", async (tx) => {
        tx.appendAudit(sampleEntry());
        throw new Error("no");
      });
      await expect(undone).rejects.toThrow("no");
      expect(await pending(open.store)).toEqual([]);
    });

    test("of many commits at once are each there once", async () => {
      await using open = await fixture.open();
      const ids = Array.from({ length: 60 }, () => newId("aud"));
      await Promise.all(ids.map((id) => append(open.store, id)));
      const seen = (await pending(open.store)).map((entry) => entry.id);
      expect(seen.toSorted()).toEqual(ids.toSorted());
    });
  });

  describe("seals", () => {
    test("follow each other over commits, and what is sealed waits no longer", async () => {
      await using open = await fixture.open();
      const { store } = open;
      await append(store, "aud_a", "aud_b", "aud_c");
      expect(await seal(store, 2)).toBe(2);
      expect((await pending(store)).map(({ id }) => id)).toEqual(["aud_c"]);
      await append(store, "aud_d");
      expect(await seal(store)).toBe(2);
      expect(await seal(store)).toBe(0);
      const { value } = await store.transact("look", (tx) => tx.audit.pending(1));
      expect(value.head?.position).toBe(4);
      expect(value.head?.hash).toHaveLength(32);
    });

    test("are given by one transaction at a time", async () => {
      await using open = await fixture.open();
      const { store } = open;
      const ids = Array.from({ length: 40 }, (_, index) => `aud_${index}`);
      await append(store, ...ids);
      const sealing = Array.from({ length: 8 }, () => seal(store, 5));
      await Promise.all(sealing);
      while ((await seal(store, 5)) > 0);
      const { value } = await store.transact("look", (tx) => tx.audit.pending(1));
      expect(value).toMatchObject({ head: { position: 40 }, entries: [] });
    });
  });

  test("neither entries nor seals take a change", async () => {
    await using open = await fixture.open();
    const { store } = open;
    await append(store, "aud_a", "aud_b");
    await seal(store);
    const read = () =>
      store.read("look", async (runner) => [
        ...(await runner.queryText("select * from forge_audit order by n", [])).rows,
        ...(await runner.queryText("select * from forge_audit_seals order by n", [])).rows,
      ]);
    const before = await read();
    for (const text of [...changes.both, ...changes[store.dialect]]) {
      const meddling = store.transact("meddle", (tx) => tx.queryText(text, []));
      await expect(meddling, text).rejects.toMatchObject({ code: "store_query_failed" });
    }
    expect(before).toHaveLength(4);
    expect(await read()).toEqual(before);
  });
}
