import { randomBytes } from "node:crypto";
import { exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from "jose";

import type { Reader, Transaction } from "../../durable/index.ts";
import type { TokenSecrets } from "./secrets.ts";

/** RFC 7518: P-256 is what every JWT library verifies. */
export const algorithm = "ES256";

/** A key of the deployment's. */
export interface SigningKey {
  readonly kid: string;
  readonly publicJwk: JWK;
  /** Undefined for a key that was sealed under another secret: it only verifies. */
  readonly privateKey: CryptoKey | undefined;
  readonly signsFromAt: number;
  readonly signsUntilAt: number;
}

/** A key that is in no store yet. */
export interface MadeKey extends Pick<SigningKey, "kid" | "publicJwk"> {
  readonly privateKey: CryptoKey;
  readonly sealed: string;
}

/** What the store has of a key. */
export interface KeyRow {
  readonly kid: string;
  readonly public_jwk: string;
  readonly sealed_private: string;
  readonly signs_from_at: number;
  readonly signs_until_at: number;
}

/** Makes a key; {@link insertKey} puts it into the store. */
export async function makeKey(secrets: TokenSecrets): Promise<MadeKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const kid = `key-${randomBytes(8).toString("hex")}`;
  const publicJwk: JWK = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" };
  const sealed = secrets.seal(kid, JSON.stringify(await exportJWK(privateKey)));
  return { kid, publicJwk, privateKey, sealed };
}

/** Has a key sign from one instant until another; it exists with the commit. */
export async function insertKey(
  tx: Transaction,
  { sealed, ...key }: MadeKey,
  signsFromAt: number,
  signsUntilAt: number,
): Promise<SigningKey> {
  await tx.sql`
    insert into forge_signing_keys (kid, public_jwk, sealed_private, signs_from_at, signs_until_at)
    values (${key.kid}, ${JSON.stringify(key.publicJwk)}, ${sealed}, ${signsFromAt}, ${signsUntilAt})`;
  return { ...key, signsFromAt, signsUntilAt };
}

/** Every key that there is, as it is stored. */
export function readKeyRows(reader: Reader): Promise<readonly KeyRow[]> {
  return reader.sql<KeyRow>`
    select kid, public_jwk, sealed_private, signs_from_at, signs_until_at
    from forge_signing_keys order by signs_from_at, kid`;
}

/** The keys of `rows`; of those in `known` the private part is not opened again. */
export function openKeys(
  rows: readonly KeyRow[],
  secrets: TokenSecrets,
  known: readonly SigningKey[],
): Promise<readonly SigningKey[]> {
  return Promise.all(rows.map((row) => toKey(row, secrets, known)));
}

async function toKey(
  row: KeyRow,
  secrets: TokenSecrets,
  known: readonly SigningKey[],
): Promise<SigningKey> {
  const same = known.find(({ kid }) => kid === row.kid);
  return {
    kid: row.kid,
    publicJwk: same?.publicJwk ?? (JSON.parse(row.public_jwk) as JWK),
    privateKey: same?.privateKey ?? (await openPrivate(row, secrets)),
    signsFromAt: row.signs_from_at,
    signsUntilAt: row.signs_until_at,
  };
}

async function openPrivate(row: KeyRow, secrets: TokenSecrets): Promise<CryptoKey | undefined> {
  const text = secrets.open(row.kid, row.sealed_private);
  if (text === undefined) return undefined;
  const key = await importJWK(JSON.parse(text) as JWK, algorithm);
  return key instanceof Uint8Array ? undefined : key;
}
