import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { exportJWK, generateKeyPair, importJWK, SignJWT, type JSONWebKeySet, type JWK } from "jose";

import { durationMs, type Clock, type Duration, type Log } from "../../kernel/index.ts";

/** Claims of a token that the dev issuer signs. */
export interface DevToken {
  readonly subject: string;
  readonly tenant: string;
  readonly role: string;
  readonly email?: string;
  readonly scopes?: readonly string[];
  /** Default 15 minutes. */
  readonly ttl?: Duration;
}

/** Signs tokens on this machine, for development. */
export interface DevIssuer {
  readonly issuer: string;
  readonly audience: string;
  sign(token: DevToken): Promise<string>;
  /** Public keys only. */
  jwks(): JSONWebKeySet;
}

/** Options of {@link createDevIssuer}. */
export interface DevIssuerOptions {
  /** Where the key is kept; made when it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Default `apiforge-dev`. */
  readonly issuer?: string;
  /** Default `apiforge`. */
  readonly audience?: string;
}

const algorithm = "ES256";
const keyFile = "dev-issuer.jwk.json";

/**
 * An issuer whose key lives in `directory` (mode 0600) and is made on first use; processes that
 * start together end up with one key. Says in the log that it is on: whoever reads the file can
 * sign any token.
 */
export async function createDevIssuer(options: DevIssuerOptions): Promise<DevIssuer> {
  const { clock, issuer = "apiforge-dev", audience = "apiforge" } = options;
  const jwk = await loadKey(options.directory);
  const key = await importJWK(jwk, algorithm);
  const { d: _, ...publicJwk } = jwk;
  const kid = jwk.kid ?? "";
  options.log.warn(
    { issuer, kid },
    "the development token issuer is on; do not use it in production",
  );
  return {
    issuer,
    audience,
    jwks: () => ({ keys: [publicJwk] }),
    sign(token) {
      const issuedAt = Math.floor(clock.now() / 1_000);
      const ttlSeconds = Math.ceil(durationMs(token.ttl ?? "15m") / 1_000);
      return new SignJWT(claimsOf(token))
        .setProtectedHeader({ alg: algorithm, kid, typ: "JWT" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + ttlSeconds)
        .sign(key);
    },
  };
}

function claimsOf(token: DevToken): Record<string, unknown> {
  return {
    sub: token.subject,
    tenant: token.tenant,
    role: token.role,
    ...(token.email === undefined ? {} : { email: token.email }),
    ...(token.scopes === undefined || token.scopes.length === 0
      ? {}
      : { scope: token.scopes.join(" ") }),
  };
}

async function loadKey(directory: string): Promise<JWK> {
  const path = join(directory, keyFile);
  return (await readKey(path)) ?? createKey(directory, path);
}

async function readKey(path: string): Promise<JWK | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as JWK;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

// The file appears under its name complete or not at all, and the first of several writers wins.
async function createKey(directory: string, path: string): Promise<JWK> {
  await mkdir(directory, { recursive: true });
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const kid = `dev-${randomBytes(8).toString("hex")}`;
  const jwk: JWK = { ...(await exportJWK(privateKey)), kid, alg: algorithm, use: "sig" };
  const draft = `${path}.${kid}`;
  await writeFile(draft, JSON.stringify(jwk), { mode: 0o600, flag: "wx", flush: true });
  try {
    await link(draft, path);
    return jwk;
  } catch (error) {
    if (!isErrno(error, "EEXIST")) throw error;
    return await loadKey(directory);
  } finally {
    await rm(draft);
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
