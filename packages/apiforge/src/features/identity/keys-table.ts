import { sql, type Reader, type Transaction } from "../../durable/index.ts";
import type { ApiKeyInfo } from "./key-record.ts";
import type { KeyMode } from "../../edge/index.ts";

/** A row of `forge_api_keys` without its digests. */
interface KeyRow {
  readonly id: string;
  readonly tenant: string;
  readonly subject: string;
  readonly name: string;
  readonly mode: KeyMode;
  readonly prefix: string;
  readonly last_four: string;
  readonly role: string;
  readonly scopes: string;
  readonly plan: string | null;
  readonly previous_last_four: string | null;
  readonly previous_expires_at: number | null;
  readonly created_by: string;
  readonly created_at: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly origins: string | null;
  readonly addresses: string | null;
  readonly last_used_at: number | null;
}

/** What is kept of a key's text. */
export interface StoredSecret {
  readonly digest: Uint8Array;
  readonly prefix: string;
  readonly lastFour: string;
}

const columns = sql`id, tenant, subject, name, mode, prefix, last_four, role, scopes, plan,
  previous_last_four, previous_expires_at, created_by, created_at, expires_at, revoked_at,
  origins, addresses, last_used_at`;

export async function insertKey(
  tx: Transaction,
  key: ApiKeyInfo,
  { digest }: StoredSecret,
): Promise<void> {
  await tx.sql`
    insert into forge_api_keys
      (id, tenant, subject, name, mode, digest, prefix, last_four, role, scopes, plan,
        origins, addresses, created_by, created_at, expires_at)
    values (${key.id}, ${key.tenant}, ${key.subject}, ${key.name}, ${key.mode}, ${digest},
      ${key.prefix}, ${key.lastFour}, ${key.role}, ${JSON.stringify(key.scopes)}, ${key.plan},
      ${listText(key.origins)}, ${listText(key.addresses)}, ${key.createdBy}, ${key.createdAt}, ${key.expiresAt})`;
}

/** The key of this tenant; undefined where it has none of this id. */
export async function findKey(
  { sql: run }: Reader,
  tenant: string,
  id: string,
): Promise<ApiKeyInfo | undefined> {
  const [row] = await run<KeyRow>`
    select ${columns} from forge_api_keys where id = ${id} and tenant = ${tenant}`;
  return row && toInfo(row);
}

/** Up to `limit` keys of a tenant, newest first, from the one before `before` on. */
export async function listKeys(
  { sql: run }: Reader,
  tenant: string,
  page: { readonly before: string | undefined; readonly limit: number },
): Promise<readonly ApiKeyInfo[]> {
  const before = page.before === undefined ? sql`` : sql`and id < ${page.before}`;
  const rows = await run<KeyRow>`
    select ${columns} from forge_api_keys where tenant = ${tenant} ${before}
    order by id desc limit ${page.limit}`;
  return rows.map(toInfo);
}

/** A key whose present or previous secret has this digest. */
export interface KeyMatch extends ApiKeyInfo {
  readonly isPrevious: boolean;
}

/** The key with this secret, of whatever tenant: it is the secret that says whose it is. */
export async function findByDigest(
  { sql: run }: Reader,
  digest: Uint8Array,
): Promise<KeyMatch | undefined> {
  // Not one condition with `or`, so that each side is one look into its index.
  const [row] = await run<KeyRow & { readonly is_previous: number }>`
    select ${columns}, 0 as is_previous from forge_api_keys where digest = ${digest}
    union all
    select ${columns}, 1 as is_previous from forge_api_keys where previous_digest = ${digest}`;
  return row && { ...toInfo(row), isPrevious: row.is_previous === 1 };
}

/** Puts a new secret in the place of the present one, which stays good until `previousExpiresAt`. */
export async function replaceSecret(
  tx: Transaction,
  id: string,
  { digest, prefix, lastFour }: StoredSecret,
  previousExpiresAt: number,
): Promise<void> {
  await tx.sql`
    update forge_api_keys
    set previous_digest = digest, previous_last_four = last_four,
      previous_expires_at = ${previousExpiresAt},
      digest = ${digest}, prefix = ${prefix}, last_four = ${lastFour}
    where id = ${id}`;
}

export async function markRevoked(tx: Transaction, id: string, nowMs: number): Promise<void> {
  await tx.sql`update forge_api_keys set revoked_at = ${nowMs} where id = ${id}`;
}

function toInfo(row: KeyRow): ApiKeyInfo {
  const { previous_last_four: lastFour, previous_expires_at: previousExpiresAt } = row;
  return {
    id: row.id,
    tenant: row.tenant,
    subject: row.subject,
    name: row.name,
    mode: row.mode,
    prefix: row.prefix,
    lastFour: row.last_four,
    role: row.role,
    scopes: JSON.parse(row.scopes) as string[],
    plan: row.plan,
    origins: listOf(row.origins),
    addresses: listOf(row.addresses),
    previous:
      lastFour === null || previousExpiresAt === null
        ? null
        : { lastFour, expiresAt: previousExpiresAt },
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  };
}

function listText(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list);
}

function listOf(text: string | null): readonly string[] | null {
  return text === null ? null : (JSON.parse(text) as string[]);
}
