import { hash } from "node:crypto";

import type { Clock } from "../../kernel/index.ts";
import { AuthoriserCache } from "./authoriser-cache.ts";
import type { Principal } from "./principal.ts";
import type { Revocations } from "./revocations.ts";
import type { VerifiedToken } from "./token-verifier.ts";

/** What an {@link Authoriser} is made of. */
export interface AuthoriserParts<Verified extends VerifiedToken> {
  readonly clock: Clock;
  /** @throws {Error} the refusal, at once or by a rejection. */
  readonly verify: (credential: string) => Promise<Verified>;
  /** Undefined where what was verified holds until it expires, whatever happens. */
  readonly revocations: Revocations | undefined;
  /** Adds to a verified principal what the deployment knows of it; undefined where that is nothing. */
  readonly enrich: ((principal: Principal) => Promise<Principal>) | undefined;
  /** How long an answer is remembered; 0: not at all. */
  readonly maxAgeMs: number;
  /** How many are. */
  readonly maxEntries: number;
}

interface Entry<Verified> {
  readonly verified: Verified;
  readonly expiresAt: number;
  /** The last revocation that had been seen when the verification began. */
  readonly epoch: number;
}

/** Where a credential was read. */
export interface Sighting {
  /** What ends with the connection, such as its socket. */
  readonly connection: object;
  /** What the caller had sent, and the credential is a part of. */
  readonly text: string;
}

/**
 * Tells whom credentials of one kind speak for, and remembers it: one verification per credential
 * and `maxAgeMs`, never past its expiry, however many requests bring it, at once or later. Refusals
 * are not remembered. Credentials are known by their SHA-256 only, so that what is remembered is
 * worth nothing to who reads the memory; but for the last one of each open connection, whose next
 * request brings it again.
 */
export class Authoriser<Verified extends VerifiedToken> {
  readonly #parts: AuthoriserParts<Verified>;
  readonly #known: AuthoriserCache<Entry<Verified>>;
  readonly #underWay = new Map<string, Promise<Entry<Verified>>>();
  readonly #last = new WeakMap<
    object,
    { readonly text: string; readonly entry: Entry<Verified> }
  >();

  constructor(parts: AuthoriserParts<Verified>) {
    this.#parts = parts;
    this.#known = new AuthoriserCache(parts.maxEntries);
  }

  /**
   * Whom the same text spoke for when it came over this connection last, as long as that holds: what
   * {@link authorise} would answer, without its hash. Undefined: ask it.
   */
  lastOn(connection: object, text: string): Verified | undefined {
    const last = this.#last.get(connection);
    if (last === undefined || last.text !== text || !this.#isFresh()) return undefined;
    return this.#holds(last.entry) ? last.entry.verified : undefined;
  }

  /**
   * At once for a credential that is remembered; `seen` makes it the one of {@link lastOn}.
   * @throws {Error} the refusal of {@link AuthoriserParts.verify}.
   */
  authorise(credential: string, seen?: Sighting): Verified | Promise<Verified> {
    if (this.#parts.maxAgeMs === 0) return this.#verified(credential);
    // 0.3 us for a key, 0.6 us for a token of 600 characters, of which the look-up is the rest.
    const id = hash("sha256", credential, "latin1");
    const { revocations } = this.#parts;
    if (revocations === undefined || this.#isFresh()) return this.#find(id, credential, seen);
    return this.#refreshed(revocations, id, credential);
  }

  async #refreshed(revocations: Revocations, id: string, credential: string): Promise<Verified> {
    try {
      await revocations.refresh();
    } catch {
      // What is remembered may have been taken back: only who verifies anew knows.
      return this.#verified(credential);
    }
    return this.#find(id, credential);
  }

  #find(id: string, credential: string, seen?: Sighting): Verified | Promise<Verified> {
    const entry = this.#known.get(id);
    if (entry === undefined || !this.#holds(entry)) return this.#join(id, credential);
    if (seen !== undefined) this.#last.set(seen.connection, { text: seen.text, entry });
    return entry.verified;
  }

  #join(id: string, credential: string): Promise<Verified> {
    const underWay = this.#underWay.get(id);
    if (underWay === undefined) return this.#begin(id, credential);
    // It may have begun before a revocation that this request comes after.
    return underWay.then((entry) =>
      this.#isRevoked(entry) ? this.#join(id, credential) : entry.verified,
    );
  }

  #begin(id: string, credential: string): Promise<Verified> {
    const begun = this.#remember(id, credential);
    this.#underWay.set(id, begun);
    const end = (): void => void this.#underWay.delete(id);
    begun.then(end, end);
    return begun.then((entry) => entry.verified);
  }

  async #remember(id: string, credential: string): Promise<Entry<Verified>> {
    const { clock, revocations, maxAgeMs } = this.#parts;
    const epoch = revocations?.epoch ?? 0;
    const verified = await this.#verified(credential);
    const expiresAt = Math.min(verified.expiresAt, clock.now() + maxAgeMs);
    const entry = { verified, expiresAt, epoch };
    this.#known.set(id, entry);
    return entry;
  }

  async #verified(credential: string): Promise<Verified> {
    const { verify, enrich } = this.#parts;
    const verified = await verify(credential);
    if (enrich === undefined) return verified;
    const principal = await enrich(verified.principal);
    const { certificate } = verified.principal;
    // A token stays bound to its certificate, whatever the deployment makes of its principal.
    return { ...verified, principal: certificate ? { ...principal, certificate } : principal };
  }

  #isFresh(): boolean {
    return this.#parts.revocations?.isFresh() ?? true;
  }

  #holds(entry: Entry<Verified>): boolean {
    return entry.expiresAt > this.#parts.clock.now() && !this.#isRevoked(entry);
  }

  #isRevoked({ verified, epoch }: Entry<Verified>): boolean {
    const { revocations } = this.#parts;
    return revocations !== undefined && revocations.lastOf(verified.principal.tenant) > epoch;
  }
}
