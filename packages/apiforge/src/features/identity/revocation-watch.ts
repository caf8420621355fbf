import {
  CommitWatch,
  sql,
  type CommitWatchParts,
  type Reader,
  type Transaction,
} from "../../durable/index.ts";
import type { Revocations } from "../../edge/index.ts";

/** Tenants of which the last revocation is kept apart. */
const maxTenants = 10_000;

interface RevocationRow {
  /** Null for the count of all. */
  readonly tenant: string | null;
  readonly epoch: number;
}

/** Revokes in the transactions of others, and tells what was revoked on any node; see {@link CommitWatch}. */
export class RevocationWatch implements Revocations {
  readonly #watch: CommitWatch;
  /** All tenants have their last revocation here at the earliest. */
  #floor = 0;
  #tenants = new Map<string, number>();

  constructor(parts: CommitWatchParts) {
    this.#watch = new CommitWatch(parts, {
      name: "look for revocations",
      read: (reader, seen) => this.#read(reader, seen),
    });
  }

  get epoch(): number {
    return this.#watch.seen;
  }

  lastOf(tenant: string): number {
    return this.#tenants.get(tenant) ?? this.#floor;
  }

  /**
   * Ends, with this commit, what any node remembers of the callers of `tenant`. Call it last: until
   * the commit it locks the one row that all revocations share.
   */
  async revoke(tx: Transaction, tenant: string): Promise<void> {
    const [counted] = await tx.sql<{ readonly epoch: number }>`
      update forge_auth_epoch set epoch = epoch + 1 returning epoch`;
    if (counted === undefined) throw new Error("The count of revocations is missing");
    const { epoch } = counted;
    await tx.sql`
      insert into forge_auth_revocations (tenant, epoch) values (${tenant}, ${epoch})
      on conflict (tenant) do update set epoch = excluded.epoch`;
    this.#watch.begin(epoch);
  }

  isFresh(): boolean {
    return this.#watch.isFresh();
  }

  refresh(): Promise<void> {
    return this.#watch.refresh();
  }

  async #read(reader: Reader, seen: number | undefined): Promise<number> {
    const rows = await (seen === undefined ? readCount(reader) : readSince(reader, seen));
    let last = seen ?? 0;
    for (const { tenant, epoch } of rows) {
      if (tenant === null) last = epoch;
      else this.#tenants.set(tenant, epoch);
    }
    // Nothing is remembered from before the first look.
    if (seen === undefined || this.#tenants.size > maxTenants) {
      this.#floor = last;
      this.#tenants.clear();
    }
    return last;
  }
}

const count = sql`select null as tenant, epoch from forge_auth_epoch`;

function readCount({ sql: run }: Reader): Promise<readonly RevocationRow[]> {
  return run<RevocationRow>`${count}`;
}

function readSince({ sql: run }: Reader, epoch: number): Promise<readonly RevocationRow[]> {
  return run<RevocationRow>`
    select tenant, epoch from forge_auth_revocations where epoch > ${epoch}
    union all ${count}`;
}
