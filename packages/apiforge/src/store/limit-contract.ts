/** How long what is given out counts. */
export type LeaseSpan =
  | {
      /** Sliding: given out in runs of `slotMs`, a run counts until `windowMs` after its end. */
      readonly windowMs: number;
      readonly slotMs: number;
    }
  /** By the calendar, in UTC: counts until the period is over. */
  | { readonly period: "day" | "month" };

/** Asks for a block of one subject's limit. */
export interface LeaseAsk {
  /** Name of the policy. */
  readonly policy: string;
  readonly subject: string;
  readonly limit: number;
  readonly span: LeaseSpan;
  /** Wanted now; 0 only to look or to give back. */
  readonly needed: number;
  /** Wanted besides, for later; at most a quarter of what is left then is given. */
  readonly ahead: number;
  /** What is left of an earlier block, by the run that it was of. Never more than once. */
  readonly back?: { readonly endsAt: number; readonly count: number };
}

/** A block, and how the subject stands. */
export interface Lease {
  /** Never above `needed + ahead`; less than `needed` only when no more is left. */
  readonly granted: number;
  /** The run that it is of, by the clock of whoever gives. */
  readonly endsAt: number;
  /** The block may be used for so long, counted from when it was asked for. */
  readonly usableMs: number;
  /** Left for everybody after this. */
  readonly remaining: number;
  /** Milliseconds until what was given out first is free again; 0 when nothing is. */
  readonly resetInMs: number;
}

/**
 * Gives out limits and quotas in blocks, to all nodes. In no interval of a span's length do the
 * blocks that may be used add up to more than the limit, whatever the order of calls, and a block
 * that nobody gives back counts as used.
 */
export interface QuotaStore {
  /** Answers position by position; all of it is one commit. */
  lease(asks: readonly LeaseAsk[]): Promise<readonly Lease[]>;
  /** Deletes up to `limit` subjects of which nothing counts any more; answers how many. */
  sweep(limit: number): Promise<number>;
}

/** What a process that counts by itself must remember of one policy. */
export interface LimitLogEntry {
  readonly policy: string;
  /** `spent` adds; `snapshot` takes the place of what is remembered of the subjects that it names; `debt` is everybody's. */
  readonly kind: "spent" | "snapshot" | "debt";
  readonly body: string;
  /** From then on it says nothing any more. */
  readonly expiresAt: number;
}

/** Everything that is remembered. */
export interface LimitMemory {
  /** In the order in which they were written. */
  readonly entries: readonly LimitLogEntry[];
  /** What the process before left; undefined when it ended in order, or there was none. */
  readonly mark: string | undefined;
}

/** The memory of limits that one process counts, of a store that has one process. */
export interface LimitLog {
  load(): Promise<LimitMemory>;
  /**
   * Writes entries and sets the mark (null removes it, absent keeps it) in one commit; deletes some
   * of what has expired. Answers the number of the first entry.
   */
  append(entries: readonly LimitLogEntry[], mark?: string | null): Promise<number>;
  /** Deletes what was written of `policy` before the entry `n`, debts aside. */
  forget(policy: string, n: number): Promise<void>;
}
