import { sql, type Durable, type Reader, type Transaction } from "../../durable/index.ts";
import type { Revocations } from "../../edge/index.ts";
import type { Clock } from "../../kernel/index.ts";

/** How old a view is when it is read anew beside the requests that use it. */
const refreshMs = 50;
/** How old it may be: the longest that a node goes on after another one's revocation. */
const boundMs = 250;
/** Until when after the longest transaction a revocation has been committed or never will be. */
const outcomeMarginMs = 1_000;
/** Tenants of which the last revocation is kept apart. */
const maxTenants = 10_000;

/** What a watch works with. */
export interface RevocationWatchParts {
  readonly durable: Pick<Durable, "read">;
  readonly clock: Clock;
  /** No other process can revoke anything here. */
  readonly singleProcess: boolean;
  readonly transactionLimitMs: number;
}

interface RevocationRow {
  /** Null for the count of all. */
  readonly tenant: string | null;
  readonly epoch: number;
}

/**
 * Revokes in the transactions of others, and tells what was revoked on any node. It is looked for
 * along with requests: 50 ms after the last look beside the next one, 250 ms after it before it. So
 * a server at rest asks nothing, and one that cannot see the store trusts nothing it remembers. A
 * revocation of this node is seen from its commit on.
 */
export class RevocationWatch implements Revocations {
  readonly #parts: RevocationWatchParts;
  #epoch = 0;
  /** All tenants have their last revocation here at the earliest. */
  #floor = 0;
  #tenants = new Map<string, number>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** The last revocation that a transaction of this node has begun. */
  #begun = 0;
  #begunAt = 0;
  #looking: Promise<void> | undefined;
  #nextLook: Promise<void> | undefined;

  constructor(parts: RevocationWatchParts) {
    this.#parts = parts;
  }

  get epoch(): number {
    return this.#epoch;
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
    this.#begun = epoch;
    this.#begunAt = this.#elapsed();
  }

  isFresh(): boolean {
    if (this.#begun > this.#epoch) return this.#isUndecided();
    const age = this.#elapsed() - this.#lookedAt;
    if (this.#parts.singleProcess) return age < Number.POSITIVE_INFINITY;
    if (age >= boundMs || age < 0) return false;
    // A look that fails is repeated by the next request, and in the end waited for.
    if (age >= refreshMs && this.#looking === undefined) this.#look().catch(() => undefined);
    return true;
  }

  refresh(): Promise<void> {
    if (this.#looking === undefined) return this.#look();
    // The look under way may have begun before what the caller comes after.
    this.#nextLook ??= this.#lookAfter(this.#looking);
    return this.#nextLook;
  }

  /** Of a revocation that was begun here and not seen yet: whether it has been given up. */
  #isUndecided(): boolean {
    const { transactionLimitMs } = this.#parts;
    const age = this.#elapsed() - this.#begunAt;
    // Rolled back, by now. Seen once more, since the last look may be from before its commit.
    if (age >= transactionLimitMs + outcomeMarginMs || age < 0) this.#begun = 0;
    return false;
  }

  async #lookAfter(looking: Promise<void>): Promise<void> {
    await looking.catch(() => undefined);
    this.#nextLook = undefined;
    await (this.#looking ?? this.#look());
  }

  #look(): Promise<void> {
    this.#looking = this.#read().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #read(): Promise<void> {
    const { durable } = this.#parts;
    const lookedAt = this.#elapsed();
    const isFirst = this.#lookedAt === Number.NEGATIVE_INFINITY;
    const seen = this.#epoch;
    const rows = await durable.read("look for revocations", (reader) =>
      isFirst ? readCount(reader) : readSince(reader, seen),
    );
    for (const { tenant, epoch } of rows) {
      if (tenant === null) this.#epoch = epoch;
      else this.#tenants.set(tenant, epoch);
    }
    // Nothing is remembered from before the first look.
    if (isFirst || this.#tenants.size > maxTenants) {
      this.#floor = this.#epoch;
      this.#tenants.clear();
    }
    this.#lookedAt = lookedAt;
  }

  #elapsed(): number {
    const { clock } = this.#parts;
    return clock.elapsed?.() ?? clock.now();
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
