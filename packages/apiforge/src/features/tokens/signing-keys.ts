import type { JSONWebKeySet, JWK } from "jose";

import type { Durable, Reader, Transaction } from "../../durable/index.ts";
import type { Clock, Log } from "../../kernel/index.ts";
import { longestAccessTtlMs } from "./options.ts";
import type { TokenSecrets } from "./secrets.ts";
import {
  insertKey,
  makeKey,
  openKeys,
  readKeyRows,
  type MadeKey,
  type SigningKey,
} from "./signing-key.ts";

/** How old a node's view of the keys may be. */
const reloadMs = 60_000;
/** Between two looks for a key that the view lacks, and after one that failed. */
const unknownKeyMs = 1_000;
/** How long a key is published before its first signature. {@link SigningKeys.maintain} runs every hour. */
const publishedAheadMs = 7_200_000;
/** How long a key is published after its last one: the longest life of a token, and what a node's view may lag. */
const publishedAfterMs = longestAccessTtlMs + 5 * reloadMs;

/** What a key ring works with. */
export interface SigningKeysParts {
  readonly durable: Pick<Durable, "read" | "transact">;
  readonly secrets: TokenSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly keyLifeMs: number;
}

/**
 * The keys that the deployment signs with, kept in its store and so the same on all nodes. The next
 * one is published two hours before it signs, and an old one until the last of its tokens has expired.
 */
export class SigningKeys {
  readonly #parts: SigningKeysParts;
  #keys: readonly SigningKey[] = [];
  #published: JSONWebKeySet = { keys: [] };
  #loadedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;

  constructor(parts: SigningKeysParts) {
    this.#parts = parts;
  }

  /** Reads the keys, and makes the first. */
  async open(): Promise<void> {
    const { durable, secrets } = this.#parts;
    // Before the transaction: the first use of WebCrypto in a process takes 7 ms, and on a busy machine
    // longer than the 50 ms after which the log calls a transaction slow.
    await this.#reload();
    const isSigning = signing(this.#keys, this.#now()) !== undefined;
    const made = isSigning ? undefined : await makeKey(secrets);
    const actor = { tenant: "system", requestId: "signing-keys" };
    await durable.transact("signing keys", actor, (tx) => this.maintain(tx, made));
    await this.#reload();
  }

  /** The key to sign with now. When there is none any more, because nobody maintained them, the commit of `tx` makes it. */
  async signer(tx: Transaction): Promise<SigningKey> {
    const now = this.#now();
    const known = this.#isStale(reloadMs) ? undefined : signing(this.#keys, now);
    if (known !== undefined) return known;
    // What `tx` sees may be rolled back, so it is not kept; a read cannot wait here for a commit.
    const keys = await this.#read(tx);
    void this.fresh();
    return signing(keys, now) ?? (await this.#create(tx, now));
  }

  /** As {@link signer}, outside of transactions. */
  async signerNow(): Promise<SigningKey> {
    await this.fresh();
    if (signing(this.#keys, this.#now()) === undefined) await this.open();
    const key = signing(this.#keys, this.#now());
    if (key === undefined) throw new Error("A key that was just made cannot be found");
    return key;
  }

  /** The public keys whose tokens may be in use. The set is the same object while nothing has changed. */
  async fresh(): Promise<JSONWebKeySet> {
    if (this.#isStale(reloadMs) && hasPassed(unknownKeyMs, this.#failedAt, this.#now())) {
      await this.#reload().catch((error: unknown) => {
        // Tokens are verified with what is known while the store is away.
        this.#failedAt = this.#now();
        this.#parts.log.warn({ err: error }, "signing keys could not be read");
      });
    }
    return this.#published;
  }

  /** The same, read again when `seen` may be out of date. */
  async newer(seen: JSONWebKeySet): Promise<JSONWebKeySet> {
    if (this.#published === seen && this.#isStale(unknownKeyMs)) await this.#reload();
    return this.#published;
  }

  /**
   * Makes the next key in time, and removes those whose tokens have all expired. Where none signs now,
   * `made` does from now on; default a new one.
   */
  async maintain(tx: Transaction, made?: MadeKey): Promise<void> {
    const now = this.#now();
    await tx.sql`delete from forge_signing_keys where signs_until_at < ${now - publishedAfterMs}`;
    const usable = (await this.#read(tx)).filter((key) => key.privateKey !== undefined);
    // There may be a later one and none for now: a node whose clock is ahead has distrusted the rest.
    if (signing(usable, now) === undefined) usable.push(await this.#create(tx, now, made));
    const lastUntil = Math.max(...usable.map((key) => key.signsUntilAt));
    if (lastUntil < now + publishedAheadMs) await this.#create(tx, lastUntil);
  }

  /**
   * Begins to sign with a new key. The ones before sign no more; with `distrust` their tokens are
   * refused as well, on every node once its view of the keys is new.
   */
  async rotate(tx: Transaction, distrust: boolean): Promise<void> {
    const now = this.#now();
    if (distrust) await tx.sql`delete from forge_signing_keys`;
    else {
      await tx.sql`delete from forge_signing_keys where signs_from_at > ${now}`;
      await tx.sql`
        update forge_signing_keys set signs_until_at = ${now} where signs_until_at > ${now}`;
    }
    await this.#create(tx, now);
  }

  async #create(tx: Transaction, fromAt: number, made?: MadeKey): Promise<SigningKey> {
    const { secrets, keyLifeMs } = this.#parts;
    return insertKey(tx, made ?? (await makeKey(secrets)), fromAt, fromAt + keyLifeMs);
  }

  #reload(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #load(): Promise<void> {
    const { durable, secrets } = this.#parts;
    const rows = await durable.read("signing keys", readKeyRows);
    this.#keys = await openKeys(rows, secrets, this.#keys);
    const now = this.#now();
    this.#loadedAt = now;
    const keys = this.#keys
      .filter((key) => now < key.signsUntilAt + publishedAfterMs)
      .map((key) => key.publicJwk);
    if (!sameKeys(keys, this.#published.keys)) this.#published = { keys };
  }

  async #read(reader: Reader): Promise<readonly SigningKey[]> {
    return openKeys(await readKeyRows(reader), this.#parts.secrets, this.#keys);
  }

  #isStale(ageMs: number): boolean {
    return hasPassed(ageMs, this.#loadedAt, this.#now());
  }

  #now(): number {
    return this.#parts.clock.now();
  }
}

function hasPassed(ms: number, sinceAt: number, now: number): boolean {
  // A clock that was set back says nothing of age.
  return now - sinceAt >= ms || now < sinceAt;
}

/** The key that began to sign last, of those that may now. */
function signing(keys: readonly SigningKey[], now: number): SigningKey | undefined {
  return keys.findLast(
    ({ privateKey, signsFromAt, signsUntilAt }) =>
      privateKey !== undefined && signsFromAt <= now && now < signsUntilAt,
  );
}

function sameKeys(a: readonly JWK[], b: readonly JWK[]): boolean {
  return a.length === b.length && a.every((key, n) => key.kid === b[n]?.kid);
}
