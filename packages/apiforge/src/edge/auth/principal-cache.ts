import type { Clock } from "../../kernel/index.ts";
import type { Principal } from "./principal.ts";
import type { VerifiedToken } from "./token-verifier.ts";

interface Entry {
  readonly principal: Principal;
  readonly expiresAt: number;
}

/**
 * Remembers whom verified tokens speak for, so that a signature is checked once per token and not
 * once per request. An entry lives 300 s at most and never past its token's `exp`; a token that
 * was refused is not remembered. Least recently used entries go first.
 */
export class PrincipalCache {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #generationSize: number;
  // Two generations stand in for a recency list: a hit in the older one moves the entry over, and
  // a full newer one becomes the older. A hit in the newer one writes nothing.
  #recent = new Map<string, Entry>();
  #older = new Map<string, Entry>();

  constructor(clock: Clock, maxAgeMs = 300_000, maxEntries = 10_000) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
    this.#generationSize = Math.max(1, Math.floor(maxEntries / 2));
  }

  /** The principal of a token that was verified before and still holds. */
  get(token: string): Principal | undefined {
    const entry = this.#recent.get(token) ?? this.#promoted(token);
    if (entry === undefined) return undefined;
    if (entry.expiresAt > this.#clock.now()) return entry.principal;
    this.#recent.delete(token);
    return undefined;
  }

  set(token: string, verified: VerifiedToken): void {
    const expiresAt = Math.min(verified.expiresAt, this.#clock.now() + this.#maxAgeMs);
    this.#add(token, { principal: verified.principal, expiresAt });
  }

  #promoted(token: string): Entry | undefined {
    const entry = this.#older.get(token);
    if (entry === undefined) return undefined;
    this.#older.delete(token);
    this.#add(token, entry);
    return entry;
  }

  #add(token: string, entry: Entry): void {
    if (this.#recent.size >= this.#generationSize) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(token, entry);
  }
}
