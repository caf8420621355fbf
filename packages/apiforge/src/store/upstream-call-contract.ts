/** A request to an upstream under an idempotency key, about to be sent. */
export interface UpstreamCallAsk {
  /** 16 bytes of tenant + principal + method + route + key. */
  readonly digest: Uint8Array;
  /** 16 bytes of method + route + content. */
  readonly fingerprint: Uint8Array;
  readonly key: string;
  /** How long the call counts as under way unless it is renewed. */
  readonly leaseMs: number;
  /** One whose outcome is unknown may be made once more. */
  readonly mayRepeat: boolean;
}

/** A claimed call; `fence` tells it from an earlier one under the same key. */
export interface UpstreamCallRef {
  readonly digest: Uint8Array;
  readonly fence: number;
}

/** What an upstream answered. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Flat, as `[name, value, …]`. */
  readonly fields: readonly string[];
  readonly body: Uint8Array;
}

/**
 * What is known of a key. `unknown`: the call was given up, or whoever made it was not heard of for
 * its lease.
 */
export type UpstreamCallClaim =
  | { readonly outcome: "claimed"; readonly fence: number }
  | { readonly outcome: "in_flight" | "unknown"; readonly fingerprint: Uint8Array }
  | {
      readonly outcome: "answered";
      readonly fingerprint: Uint8Array;
      readonly answer: UpstreamAnswer;
    };

/** How a call stands; `free`: it did nothing, as somebody found, and its key may be used again. */
export type UpstreamCallStanding = "in_flight" | "answered" | "unknown" | "free";

/** A call, for whoever looks after it. */
export interface UpstreamCallRecord {
  readonly digest: Uint8Array;
  readonly key: string;
  readonly standing: UpstreamCallStanding;
  /** How often it was made. */
  readonly times: number;
  /** When it was made first. */
  readonly createdAt: number;
}

/** What somebody found out about a call whose outcome was unknown. */
export type UpstreamCallSettlement =
  | { readonly found: "answer"; readonly answer: UpstreamAnswer }
  | { readonly found: "nothing_done" };

/** Which calls are listed. */
export interface UpstreamCallFilter {
  /** Those whose outcome is unknown, or all. */
  readonly standing: "unknown" | "any";
  readonly limit: number;
}

/**
 * Calls of upstreams under idempotency keys. A key is claimed before anything is sent, by one caller
 * on any node; then its call is answered, given up or released, which counts only as long as it has
 * not been made once more. Every method is one commit.
 */
export interface UpstreamCallStore {
  /** Claims a key that is free or was freed, or unknown with the same fingerprint where it may be repeated. */
  claim(ask: UpstreamCallAsk): Promise<UpstreamCallClaim>;
  /** The calls go on: their leases last `leaseMs` from now. */
  renew(calls: readonly UpstreamCallRef[], leaseMs: number): Promise<void>;
  answer(call: UpstreamCallRef, answer: UpstreamAnswer): Promise<void>;
  /** Nobody knows what became of it. */
  giveUp(call: UpstreamCallRef): Promise<void>;
  /** Nothing was done: the key is free again. One that was unknown before its claim stays so, unless it was freed. */
  release(call: UpstreamCallRef): Promise<void>;
  /** Oldest first. */
  list(filter: UpstreamCallFilter): Promise<readonly UpstreamCallRecord[]>;
  /**
   * Ends a call whose outcome is unknown: its key has the answer, or is free. Answers how the call stood;
   * where that is not `unknown`, nothing has changed. Undefined when there is no such call.
   */
  settle(
    digest: Uint8Array,
    settlement: UpstreamCallSettlement,
  ): Promise<UpstreamCallStanding | undefined>;
  /** Deletes up to `limit` calls that were made first longer ago; answers how many. */
  sweep(olderThanMs: number, limit: number): Promise<number>;
}

/** How a call stands in its row. */
export const upstreamCallState = { inFlight: 1, answered: 2, unknown: 3 } as const;
