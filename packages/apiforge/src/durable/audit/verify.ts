import {
  auditGenesis,
  auditSealerName,
  sealHash,
  toAuditEntry,
  type Row,
  type SqlRunner,
} from "../../store/index.ts";
import { sql } from "../sql.ts";
import type { AuditAnchor } from "./anchor.ts";

/** What is wrong with the chain at its first broken place. */
export type AuditFault =
  /** An entry, its seal or their order is not what was sealed. */
  | { readonly kind: "altered"; readonly position: number; readonly n: number; readonly id: string }
  /** The sealed entry is not there. */
  | { readonly kind: "entry_missing"; readonly position: number; readonly n: number }
  /** The seal is not there, and later ones are. */
  | { readonly kind: "seal_missing"; readonly position: number }
  /** The entry never went through a commit of APIForge, or its seal was taken away. */
  | { readonly kind: "never_sealed"; readonly n: number; readonly id: string }
  /** The chain ends before `sealed`, where it once ended. */
  | { readonly kind: "cut_off"; readonly position: number; readonly sealed: number }
  /** The chain is whole and not the one that the anchor was taken from. */
  | { readonly kind: "anchor_mismatch"; readonly position: number };

/** What {@link verifyAudit} found. */
export type AuditReport =
  | {
      readonly intact: true;
      /** Entries in the chain, which is the position of its end. */
      readonly sealed: number;
      /** Entries that were committed and wait for their seals. */
      readonly unsealed: number;
      /** The end of the chain; undefined while it is empty. */
      readonly anchor: AuditAnchor | undefined;
    }
  | { readonly intact: false; readonly fault: AuditFault };

/** Runs reads, each on one snapshot. */
export type ReadSnapshot = <T>(work: (runner: SqlRunner) => Promise<T>) => Promise<T>;

const pageRows = 1_000;

/**
 * Goes through the whole chain and names the first place where it is broken; a server may go on
 * meanwhile. `anchor`, kept outside of the database, also shows that the chain was cut off or
 * written anew up to there.
 */
export async function verifyAudit(read: ReadSnapshot, anchor?: AuditAnchor): Promise<AuditReport> {
  const walk = new Walk(anchor);
  for (;;) {
    const ending = await read(async (runner) => {
      const rows = await runner.query(pageAfter(walk.position));
      const fault = walk.follow(rows);
      if (fault !== undefined) return { intact: false, fault } as const;
      return rows.length < pageRows ? finish(runner, walk) : undefined;
    });
    if (ending !== undefined) return ending;
  }
}

/** What has to hold of the tables besides the chain, on the snapshot of its last page. */
async function finish(runner: SqlRunner, walk: Walk): Promise<AuditReport> {
  const [counts] = await runner.query(counting);
  const sealed = Math.max(Number(counts?.["sealed"] ?? 0), walk.anchor?.position ?? 0);
  const { position } = walk;
  if (sealed > position) return { intact: false, fault: { kind: "cut_off", position, sealed } };
  const [stray] = await runner.query(strays);
  if (stray !== undefined) {
    const { n, id } = stray;
    return { intact: false, fault: { kind: "never_sealed", n: Number(n), id: String(id) } };
  }
  const unsealed = Number(counts?.["unsealed"]);
  return { intact: true, sealed: position, unsealed, anchor: walk.end };
}

/** The chain as far as it was followed. */
class Walk {
  readonly anchor: AuditAnchor | undefined;
  #position = 0;
  #hash = auditGenesis;

  constructor(anchor: AuditAnchor | undefined) {
    this.anchor = anchor;
  }

  get position(): number {
    return this.#position;
  }

  get end(): AuditAnchor | undefined {
    if (this.#position === 0) return undefined;
    return { position: this.#position, hash: hex(this.#hash) };
  }

  /** Goes on over `rows`; answers what is wrong with the first that does not fit. */
  follow(rows: readonly Row[]): AuditFault | undefined {
    for (const row of rows) {
      const fault = this.#step(row);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #step(row: Row): AuditFault | undefined {
    const position = this.#position + 1;
    if (Number(row["position"]) !== position) return { kind: "seal_missing", position };
    if (row["n"] === null) return { kind: "entry_missing", position, n: Number(row["sealed_n"]) };
    const entry = toAuditEntry(row);
    const hash = sealHash(this.#hash, position, entry);
    const sealed = row["hash"];
    // A column of SQLite holds whatever was written there.
    if (!(sealed instanceof Uint8Array) || hash.compare(sealed) !== 0)
      return { kind: "altered", position, n: entry.n, id: entry.id };
    if (position === this.anchor?.position && hex(hash) !== this.anchor.hash)
      return { kind: "anchor_mismatch", position };
    this.#position = position;
    this.#hash = hash;
    return undefined;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function pageAfter(position: number) {
  return sql`select seal.position, seal.n as sealed_n, seal.hash, entry.*
    from forge_audit_seals seal left join forge_audit entry on entry.n = seal.n
    where seal.position > ${position} order by seal.position limit ${pageRows}`;
}

const counting = sql`select
  (select cursor from forge_consumers where name = ${auditSealerName}) as sealed,
  (select count(*) from forge_audit_unsealed) as unsealed`;

const strays = sql`select entry.n, entry.id from forge_audit entry
  where not exists (select 1 from forge_audit_seals seal where seal.n = entry.n)
    and not exists (select 1 from forge_audit_unsealed waiting where waiting.n = entry.n)
  order by entry.n limit 1`;
