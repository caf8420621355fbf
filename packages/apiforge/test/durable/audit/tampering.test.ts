import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { readAnchor, verifyAudit, type AuditAnchor } from "../../../src/durable/index.ts";
import { sealsAfter, type AuditEntry, type Store } from "../../../src/store/index.ts";
import { storeFixtures } from "../../store/fixtures.ts";
import { actor, Harness } from "../harness.ts";

/** Statements by somebody who opened the database himself and may do anything there. */
type Meddle = (...statements: readonly string[]) => Promise<void>;

const untie = {
  sqlite: [
    "drop trigger forge_audit_placed",
    "drop trigger forge_audit_changed",
    "drop trigger forge_audit_deleted",
    "drop trigger forge_audit_seals_placed",
    "drop trigger forge_audit_seals_changed",
    "drop trigger forge_audit_seals_deleted",
  ],
  postgres: [
    "alter table forge_audit disable trigger all",
    "alter table forge_audit_seals disable trigger all",
    "alter table forge_audit alter column n drop identity",
  ],
} as const;

const entries = 6;

/** A store with {@link entries} sealed, rows and positions 1 to that, and its guards taken off. */
async function sealedStore(
  fixture: (typeof storeFixtures)[number],
): Promise<AsyncDisposable & { store: Store; meddle: Meddle; anchor: AuditAnchor }> {
  const harness = await Harness.open(fixture);
  const { store, open } = harness;
  const { durable } = await harness.started();
  for (let n = 1; n <= entries; n += 1) {
    await durable.transact("note", { ...actor, subject: `usr_${n}` }, async (tx) =>
      tx.audit({ action: "note.added", detail: { note: n } }),
    );
  }
  await durable.stop(0);
  const meddle: Meddle = async (...statements) => {
    for (const statement of statements) await open.raw?.(statement);
  };
  await meddle(...untie[store.dialect]);
  const report = await verify(store);
  if (!report.intact || report.anchor === undefined) throw new Error("Nothing was sealed");
  expect(report).toMatchObject({ sealed: entries, unsealed: 0 });
  const { anchor } = report;
  return { store, meddle, anchor, [Symbol.asyncDispose]: () => harness[Symbol.asyncDispose]() };
}

function verify(store: Store, anchor?: AuditAnchor) {
  return verifyAudit((work) => store.read("verify", work), anchor);
}

const swapRows = (a: number, b: number): readonly string[] => [
  `update forge_audit set n = -1 where n = ${a}`,
  `update forge_audit set n = ${a} where n = ${b}`,
  `update forge_audit set n = ${b} where n = -1`,
];

const insertRow = (n: number): string =>
  `insert into forge_audit (n, id, tenant, subject, action, detail, request_id, created_at)
   select ${n}, 'aud_forged', tenant, subject, action, detail, request_id, created_at
   from forge_audit where n = 1`;

interface Tampering {
  readonly what: string;
  readonly statements: readonly string[];
  readonly fault: object;
}

// What a verification finds by itself.
const found: readonly Tampering[] = [
  ...["id", "tenant", "subject", "action", "detail", "request_id", "created_at"].map((column) => ({
    what: `${column} of an entry altered`,
    statements: [
      `update forge_audit set ${column} = ${column === "created_at" ? "1" : "'x'"} where n = 3`,
    ],
    fault: { kind: "altered", position: 3, n: 3 },
  })),
  {
    what: "the subject of an entry taken out",
    statements: ["update forge_audit set subject = null where n = 3"],
    fault: { kind: "altered", position: 3 },
  },
  {
    what: "an entry deleted",
    statements: ["delete from forge_audit where n = 4"],
    fault: { kind: "entry_missing", position: 4, n: 4 },
  },
  {
    what: "an entry deleted with its seal",
    statements: [
      "delete from forge_audit where n = 4",
      "delete from forge_audit_seals where n = 4",
    ],
    fault: { kind: "seal_missing", position: 4 },
  },
  {
    what: "an entry deleted with its seal, the later seals moved up",
    statements: [
      "delete from forge_audit where n = 4",
      "delete from forge_audit_seals where n = 4",
      "update forge_audit_seals set position = 4 where position = 5",
      "update forge_audit_seals set position = 5 where position = 6",
      "update forge_consumers set cursor = 5 where name = 'apiforge.audit'",
    ],
    fault: { kind: "altered", position: 4, n: 5 },
  },
  {
    what: "an entry inserted",
    statements: [insertRow(99)],
    fault: { kind: "never_sealed", n: 99, id: "aud_forged" },
  },
  {
    what: "an entry inserted with a seal of its own",
    statements: [
      insertRow(99),
      `insert into forge_audit_seals (position, n, hash)
       select ${entries + 1}, 99, hash from forge_audit_seals where position = 1`,
    ],
    fault: { kind: "altered", position: entries + 1, n: 99, id: "aud_forged" },
  },
  {
    what: "an entry inserted in the place of another",
    statements: ["delete from forge_audit where n = 2", insertRow(2)],
    fault: { kind: "altered", position: 2, n: 2, id: "aud_forged" },
  },
  {
    what: "two entries in each other's place",
    statements: swapRows(2, 5),
    fault: { kind: "altered", position: 2 },
  },
  {
    what: "two seals in each other's place",
    statements: [
      "update forge_audit_seals set position = -1 where position = 2",
      "update forge_audit_seals set position = 2 where position = 5",
      "update forge_audit_seals set position = 5 where position = -1",
    ],
    fault: { kind: "altered", position: 2, n: 5 },
  },
  {
    what: "a hash altered",
    statements: [
      "update forge_audit_seals set hash = (select hash from forge_audit_seals where position = 1) where position = 3",
    ],
    fault: { kind: "altered", position: 3 },
  },
  {
    what: "the last entries deleted",
    statements: ["delete from forge_audit where n > 4"],
    fault: { kind: "entry_missing", position: 5, n: 5 },
  },
  {
    what: "the last seals deleted",
    statements: ["delete from forge_audit_seals where n > 4"],
    fault: { kind: "cut_off", position: 4, sealed: entries },
  },
  {
    what: "the last entries deleted with their seals",
    statements: [
      "delete from forge_audit where n > 4",
      "delete from forge_audit_seals where n > 4",
    ],
    fault: { kind: "cut_off", position: 4, sealed: entries },
  },
  {
    what: "the last seals deleted, and the count of them set back",
    statements: [
      "delete from forge_audit_seals where n > 4",
      "update forge_consumers set cursor = 4 where name = 'apiforge.audit'",
    ],
    fault: { kind: "never_sealed", n: 5 },
  },
  {
    what: "everything deleted",
    statements: ["delete from forge_audit", "delete from forge_audit_seals"],
    fault: { kind: "cut_off", position: 0, sealed: entries },
  },
];

// What looks whole to somebody who has nothing but the database.
const cutOff = [
  "delete from forge_audit where n > 4",
  "delete from forge_audit_seals where n > 4",
  "update forge_consumers set cursor = 4 where name = 'apiforge.audit'",
];

describe.for(storeFixtures.filter(({ persistent }) => persistent))(
  "tampering on $name",
  (fixture) => {
    test.for(found)("is named: $what", async ({ statements, fault }) => {
      await using sealed = await sealedStore(fixture);
      await sealed.meddle(...statements);
      expect(await verify(sealed.store)).toMatchObject({ intact: false, fault });
    });

    test("needs the anchor to be seen: the end cut off with all that counts it", async () => {
      await using sealed = await sealedStore(fixture);
      await sealed.meddle(...cutOff);
      expect(await verify(sealed.store)).toMatchObject({ intact: true, sealed: 4 });
      expect(await verify(sealed.store, sealed.anchor)).toEqual({
        intact: false,
        fault: { kind: "cut_off", position: 4, sealed: entries },
      });
    });

    test("needs the anchor to be seen: the chain written anew over an altered entry", async () => {
      await using sealed = await sealedStore(fixture);
      const { store } = sealed;
      await sealed.meddle("update forge_audit set subject = 'nobody' where n = 2");
      await rewriteChain(sealed);
      expect(await verify(store)).toMatchObject({ intact: true, sealed: entries });
      expect(await verify(store, sealed.anchor)).toEqual({
        intact: false,
        fault: { kind: "anchor_mismatch", position: entries },
      });
    });

    test("is not gone over by the sealer: it stops at an end that was cut off", async () => {
      await using harness = await Harness.open(fixture);
      const { open, store } = harness;
      const node = await harness.started();
      const add = () =>
        node.durable.transact("note", actor, async (tx) => tx.audit({ action: "note.added" }));
      await add();
      await harness.advance(1_000);
      for (const statement of untie[store.dialect]) {
        if (!statement.includes("identity")) await open.raw?.(statement);
      }
      await open.raw?.("delete from forge_audit_seals");
      await add();
      await harness.advance(2_000);
      expect(await verify(store)).toMatchObject({
        intact: false,
        fault: { kind: "cut_off", position: 0, sealed: 1 },
      });
      const lines = node.log.entries.map(({ message }) => message);
      expect(lines).toContain("the audit log could not be sealed");
    });
  },
);

/** What a meddler who knows the formula does: new seals for all entries as they now are. */
async function rewriteChain({ store, meddle }: { store: Store; meddle: Meddle }): Promise<void> {
  const { rows } = await store.read("entries", (runner) =>
    runner.queryText("select * from forge_audit order by n", []),
  );
  const seals = sealsAfter(
    undefined,
    rows.map((row) => ({
      n: Number(row["n"]),
      id: String(row["id"]),
      tenant: String(row["tenant"]),
      subject: String(row["subject"]),
      action: String(row["action"]),
      detail: String(row["detail"]),
      requestId: String(row["request_id"]),
      createdAt: Number(row["created_at"]),
    })),
  );
  for (const { position, hash } of seals) {
    const hex = Buffer.from(hash).toString("hex");
    const bytes = store.dialect === "sqlite" ? `x'${hex}'` : `'\\x${hex}'::bytea`;
    await meddle(`update forge_audit_seals set hash = ${bytes} where position = ${position}`);
  }
}

describe("the chain of seals", () => {
  const text = fc.string({ maxLength: 4 });
  const entry: fc.Arbitrary<AuditEntry> = fc.record({
    n: fc.nat(20),
    id: text,
    tenant: text,
    subject: fc.option(text),
    action: text,
    detail: text,
    requestId: text,
    createdAt: fc.nat(20),
  });
  const log = fc.array(entry, { minLength: 1, maxLength: 5 });
  const endOf = (of: readonly AuditEntry[]): string =>
    Buffer.from(sealsAfter(undefined, of).at(-1)?.hash ?? []).toString("hex");

  test("ends alike for equal logs and for no others", () => {
    fc.assert(
      fc.property(log, log, (one, other) => {
        expect(endOf(structuredClone(one))).toBe(endOf(one));
        const isEqual = JSON.stringify(one) === JSON.stringify(other);
        expect(endOf(one) === endOf(other)).toBe(isEqual);
      }),
    );
  });

  test("ends otherwise when a part of a field goes over to its neighbour", () => {
    fc.assert(
      fc.property(entry, text, text, (of, left, right) => {
        fc.pre(left !== "");
        const one = { ...of, action: left, detail: right };
        const other = { ...of, action: "", detail: left + right };
        expect(endOf([one])).not.toBe(endOf([other]));
      }),
    );
  });

  test("is the same whether it is made at once or bit by bit", () => {
    fc.assert(
      fc.property(log, fc.nat(4), (all, cut) => {
        const first = sealsAfter(undefined, all.slice(0, cut));
        const rest = sealsAfter(first.at(-1), all.slice(cut));
        expect([...first, ...rest]).toEqual(sealsAfter(undefined, all));
      }),
    );
  });
});

test.for(["", "12", "0:ab", `1:${"g".repeat(64)}`, `1:${"A".repeat(64)}`, `-1:${"a".repeat(64)}`])(
  "%j is no anchor",
  (text) => {
    expect(() => readAnchor(text)).toThrow(TypeError);
  },
);
