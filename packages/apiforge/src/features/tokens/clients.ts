import { durationMs, newId, type Clock, type Duration } from "../../kernel/index.ts";
import type { Reader, Transaction } from "../../durable/index.ts";
import { digestOf, randomSecret, sameText } from "./secrets.ts";

/** A service that may get tokens of its own, by `client_credentials`. */
export interface NewClient {
  /** For people. */
  readonly name: string;
  /** Owner of the data that it works with. */
  readonly tenant: string;
  /** Default none. */
  readonly role?: string;
  /** The most that its tokens carry; a request may ask for fewer. Default none. */
  readonly scopes?: readonly string[];
  /**
   * `x5t#S256` thumbprint of the client certificate by which it authenticates itself instead of by a
   * secret, and that its tokens are then bound to (RFC 8705). Default none: it gets a secret.
   */
  readonly certificate?: string;
}

/** A client with what it authenticates itself by; the secret is shown here once and kept as a digest. */
export interface RegisteredClient {
  readonly clientId: string;
  /** Undefined for a client with a certificate. */
  readonly clientSecret: string | undefined;
}

/** A client that has authenticated itself. */
export interface Client {
  readonly id: string;
  readonly tenant: string;
  readonly role: string;
  readonly scopes: readonly string[];
  /** The certificate by which it did; null for a secret. */
  readonly certificate: string | null;
}

/** How a client says who it is. */
export interface ClientCredentials {
  readonly id: string;
  readonly secret: string | undefined;
  /** Thumbprint of the certificate on the connection. */
  readonly certificate: string | undefined;
}

interface ClientRow {
  readonly id: string;
  readonly tenant: string;
  readonly role: string;
  readonly scopes: string;
  readonly secret_digest: string | null;
  readonly previous_digest: string | null;
  readonly previous_until_at: number | null;
  readonly certificate: string | null;
}

const secretPrefix = "af_cs_";
/** Of ids that {@link registerClient} gives: no store is asked for a text that PostgreSQL would fail on. */
const idForm = /^cli_[0-9A-Za-z]{1,64}$/;

export async function registerClient(
  tx: Transaction,
  clock: Clock,
  client: NewClient,
): Promise<RegisteredClient> {
  const { name, tenant, role = "", scopes = [], certificate = null } = client;
  const clientId = newId("cli");
  const clientSecret = certificate === null ? newSecret() : undefined;
  const digest = clientSecret === undefined ? null : digestOf(clientSecret);
  await tx.sql`
    insert into forge_oauth_clients
      (id, name, tenant, role, scopes, secret_digest, certificate, created_at)
    values (${clientId}, ${name}, ${tenant}, ${role}, ${scopes.join(" ")}, ${digest},
      ${certificate}, ${clock.now()})`;
  return { clientId, clientSecret };
}

/** A new secret; the one before is good for `overlap` more. Undefined when no client of this id has a secret. */
export async function rotateSecret(
  tx: Transaction,
  clock: Clock,
  id: string,
  overlap: Duration,
): Promise<string | undefined> {
  const secret = newSecret();
  const rotated = await tx.sql`
    update forge_oauth_clients
    set previous_digest = secret_digest, previous_until_at = ${clock.now() + durationMs(overlap)},
      secret_digest = ${digestOf(secret)}
    where id = ${id} and secret_digest is not null and disabled_at is null
    returning id`;
  return rotated.length === 0 ? undefined : secret;
}

/** Gives no more tokens to a client; false when it got none before. */
export async function disableClient(tx: Transaction, clock: Clock, id: string): Promise<boolean> {
  const disabled = await tx.sql`
    update forge_oauth_clients set disabled_at = ${clock.now()}
    where id = ${id} and disabled_at is null returning id`;
  return disabled.length > 0;
}

/** The client that these credentials prove; undefined when they prove none. */
export async function authenticateClient(
  reader: Reader,
  clock: Clock,
  credentials: ClientCredentials,
): Promise<Client | undefined> {
  if (!idForm.test(credentials.id)) return undefined;
  const [row] = await reader.sql<ClientRow>`
    select id, tenant, role, scopes, secret_digest, previous_digest, previous_until_at, certificate
    from forge_oauth_clients where id = ${credentials.id} and disabled_at is null`;
  if (row === undefined || !isProved(row, credentials, clock.now())) return undefined;
  const { id, tenant, role, scopes, certificate } = row;
  return { id, tenant, role, scopes: scopes === "" ? [] : scopes.split(" "), certificate };
}

function isProved(row: ClientRow, { secret, certificate }: ClientCredentials, now: number) {
  if (row.certificate !== null) return certificate !== undefined && certificate === row.certificate;
  if (secret === undefined || row.secret_digest === null) return false;
  const digest = digestOf(secret);
  if (sameText(digest, row.secret_digest)) return true;
  const { previous_digest: previous, previous_until_at: untilAt } = row;
  return previous !== null && untilAt !== null && now < untilAt && sameText(digest, previous);
}

function newSecret(): string {
  return secretPrefix + randomSecret();
}
