import type { Clock, Log } from "../kernel/index.ts";
import type { Store, UpstreamAnswer, UpstreamCallRef } from "../store/index.ts";
import type { IdempotencyKey } from "./execute.ts";

/** After so long without a word a call counts as unknown: whoever made it has died, or cannot see the store. */
const leaseMs = 15_000;
const renewMs = 5_000;

/** A call of an upstream that has been recorded as under way, and may now be sent. One of its methods ends it. */
export interface UpstreamCall {
  /** Sent with the request: the key, told apart by tenant, principal and route. */
  readonly upstreamKey: string;
  /** Resolves once a repeat is answered with it. */
  answer(answer: UpstreamAnswer): Promise<void>;
  /** Nobody knows what became of it. */
  giveUp(): Promise<void>;
  /** Nothing was done; the key is free again. */
  release(): Promise<void>;
}

const digestBytes = 16;
const keyPattern = /^[A-Za-z0-9_-]{22}$/;

/** The key that an upstream is sent for a call. */
export function upstreamKey(digest: Uint8Array): string {
  return Buffer.from(digest).toString("base64url");
}

/** The digest whose {@link upstreamKey} this is; undefined for text that is none. */
export function digestOfUpstreamKey(key: string): Buffer | undefined {
  const digest = Buffer.from(keyPattern.test(key) ? key : "", "base64url");
  return digest.length === digestBytes && upstreamKey(digest) === key ? digest : undefined;
}

/** What is known of a key before its request is sent to an upstream. */
export type UpstreamCallStart =
  | { readonly outcome: "claimed"; readonly call: UpstreamCall }
  | { readonly outcome: "answered"; readonly answer: UpstreamAnswer }
  | { readonly outcome: "in_flight" | "unknown" | "mismatch" };

/**
 * Requests to upstreams under idempotency keys. What an upstream does is no part of a commit of ours, so
 * it is recorded that a request is about to be sent, and then what was answered. What lies in between
 * when a process dies is unknown, and said to be.
 */
export class UpstreamCalls {
  readonly #store: Pick<Store, "upstreamCalls">;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #underWay = new Set<UpstreamCallRef>();
  #isRenewing = false;

  constructor(store: Pick<Store, "upstreamCalls">, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Records that the request of `key` is about to be sent; resolves once that is on disk.
   * @param mayRepeat the upstream knows keys itself, so a call whose outcome is unknown may be made again.
   */
  async begin(key: IdempotencyKey, mayRepeat: boolean): Promise<UpstreamCallStart> {
    const { digest, fingerprint } = key;
    const ask = { digest, fingerprint, key: key.key, leaseMs, mayRepeat };
    const claim = await this.#store.upstreamCalls.claim(ask);
    if (claim.outcome === "claimed") {
      return { outcome: "claimed", call: this.#call({ digest, fence: claim.fence }) };
    }
    if (Buffer.compare(claim.fingerprint, fingerprint) !== 0) return { outcome: "mismatch" };
    return claim;
  }

  #call(ref: UpstreamCallRef): UpstreamCall {
    const { upstreamCalls } = this.#store;
    this.#underWay.add(ref);
    this.#renewLater();
    const ended = async (end: Promise<void>): Promise<void> => {
      this.#underWay.delete(ref);
      await end;
    };
    return {
      upstreamKey: upstreamKey(ref.digest),
      answer: (answer) => ended(upstreamCalls.answer(ref, answer)),
      giveUp: () => ended(upstreamCalls.giveUp(ref)),
      release: () => ended(upstreamCalls.release(ref)),
    };
  }

  #renewLater(): void {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    this.#clock.after(renewMs, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    try {
      if (this.#underWay.size > 0) {
        await this.#store.upstreamCalls.renew([...this.#underWay], leaseMs);
      }
    } catch (error) {
      this.#log.warn({ error }, "calls of upstreams could not be renewed; trying again");
    }
    this.#isRenewing = false;
    if (this.#underWay.size > 0) this.#renewLater();
  }
}
