import {
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from "jose";

import type { Clock } from "../../kernel/index.ts";
import { edgeError } from "../errors.ts";
import { askIssuer, requireTrustworthy, type IssuerServices } from "./issuer-fetch.ts";

const maxSetBytes = 256 * 1024;
const defaultAgeMs = 600_000;
const shortestAgeMs = 60_000;
const longestAgeMs = 3_600_000;
/** Between two fetches of one issuer for keys that its set lacks, or that failed. */
const cooldownMs = 30_000;
const cooldownWithoutKeysMs = 1_000;
/** How long the last set is used while no newer one can be had. */
const lastGoodMs = 86_400_000;
const shortestRsaBits = 2_048;

/**
 * Finds the keys of an issuer that publishes them at `url` (RFC 7517). One fetch at a time; again
 * after the answer's `max-age` (1 minute to 1 hour, default 10 minutes), and for a `kid` that the
 * set lacks, at most every 30 s. While the issuer does not answer, its last set is used for a day.
 * @throws {TypeError} for an address that is neither https nor on this machine.
 */
export function remoteKeySet(url: URL, services: IssuerServices): JWTVerifyGetKey {
  requireTrustworthy(url);
  const set = new RemoteKeySet(url, services);
  return async (header, token) => {
    const keys = await set.fresh();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const newer = await set.newer(keys);
      return newer(header, token);
    }
  };
}

/** Keys that change while the server runs, such as its own. */
export interface KeySource {
  /** The set as it is now: the same object while nothing has changed. */
  fresh(): Promise<JSONWebKeySet>;
  /** The set for a token whose key `seen` lacks. */
  newer(seen: JSONWebKeySet): Promise<JSONWebKeySet>;
}

/** Finds keys in the set that `source` has at the time. */
export function sourceKeySet(source: KeySource): JWTVerifyGetKey {
  let seen: JSONWebKeySet | undefined;
  let keys = localKeySet({ keys: [] });
  function keysOf(set: JSONWebKeySet): JWTVerifyGetKey {
    if (set !== seen) {
      seen = set;
      keys = localKeySet(set);
    }
    return keys;
  }
  return async (header, token) => {
    const set = await source.fresh();
    try {
      return await keysOf(set)(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return keysOf(await source.newer(set))(header, token);
    }
  };
}

/** Finds keys in `set`. */
export function localKeySet(set: JSONWebKeySet): JWTVerifyGetKey {
  return createLocalJWKSet({ keys: set.keys.filter(isStrong) });
}

class RemoteKeySet {
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #services: IssuerServices;
  #keys: JWTVerifyGetKey | undefined;
  #fetchedAt = 0;
  #staleAt = 0;
  #retryAt = 0;
  #fetching: Promise<void> | undefined;

  constructor(url: URL, services: IssuerServices) {
    this.#url = url;
    this.#clock = services.clock;
    this.#services = services;
  }

  /** The keys as the issuer last published them. */
  async fresh(): Promise<JWTVerifyGetKey> {
    if (this.#keys === undefined || this.#clock.now() >= this.#staleAt) await this.#refetch();
    return this.#current();
  }

  /** Keys that may be newer than `seen`. */
  async newer(seen: JWTVerifyGetKey): Promise<JWTVerifyGetKey> {
    if (this.#keys === seen) await this.#refetch();
    return this.#current();
  }

  #current(): JWTVerifyGetKey {
    const isUsable = this.#clock.now() < this.#fetchedAt + lastGoodMs;
    if (this.#keys === undefined || !isUsable) throw issuerUnavailable();
    return this.#keys;
  }

  async #refetch(): Promise<void> {
    if (this.#fetching === undefined) {
      if (this.#clock.now() < this.#retryAt) return;
      this.#fetching = this.#load().finally(() => (this.#fetching = undefined));
    }
    await this.#fetching;
  }

  async #load(): Promise<void> {
    try {
      const { set, maxAgeMs } = await fetchSet(this.#url, this.#services);
      this.#keys = localKeySet(set);
      this.#fetchedAt = this.#clock.now();
      this.#staleAt = this.#fetchedAt + maxAgeMs;
      this.#retryAt = this.#fetchedAt + cooldownMs;
    } catch (error) {
      const waitMs = this.#keys === undefined ? cooldownWithoutKeysMs : cooldownMs;
      this.#retryAt = this.#clock.now() + waitMs;
      if (this.#keys === undefined) throw issuerUnavailable(error);
    }
  }
}

async function fetchSet(
  url: URL,
  services: IssuerServices,
): Promise<{ readonly set: JSONWebKeySet; readonly maxAgeMs: number }> {
  const request = {
    method: "GET",
    headers: { accept: "application/jwk-set+json, application/json" },
    maxBytes: maxSetBytes,
  } as const;
  const { body: set, headers } = await askIssuer(url, request, services);
  if (!isKeySet(set)) throw new Error("The answer is not a key set");
  return { set, maxAgeMs: maxAgeOf(headers.get("cache-control")) };
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  if (typeof value !== "object" || value === null || !("keys" in value)) return false;
  const { keys } = value;
  return (
    Array.isArray(keys) &&
    keys.every((key: unknown) => typeof key === "object" && key !== null && "kty" in key)
  );
}

/** Only public keys that can be relied on: no shared secret, and RSA of 2048 bits and more. */
function isStrong({ kty, n }: JWK): boolean {
  if (kty === "oct") return false;
  return kty !== "RSA" || rsaBits(n) >= shortestRsaBits;
}

function rsaBits(modulus: string | undefined): number {
  const hex = Buffer.from(modulus ?? "", "base64url").toString("hex");
  return hex === "" ? 0 : BigInt(`0x${hex}`).toString(2).length;
}

function maxAgeOf(cacheControl: string | null): number {
  const seconds = /(?:^|,)\s*max-age="?(\d+)/i.exec(cacheControl ?? "")?.[1];
  if (seconds === undefined) return defaultAgeMs;
  return Math.min(Math.max(Number(seconds) * 1_000, shortestAgeMs), longestAgeMs);
}

function issuerUnavailable(cause?: unknown): Error {
  return edgeError("issuer_unavailable", "The keys of the token's issuer cannot be fetched now", {
    cause,
  });
}
