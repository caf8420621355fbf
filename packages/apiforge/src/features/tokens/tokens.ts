import type { Durable, Transaction } from "../../durable/index.ts";
import type { KeySource } from "../../edge/index.ts";
import type { Clock, Duration, Log } from "../../kernel/index.ts";
import {
  disableClient,
  registerClient,
  rotateSecret,
  type NewClient,
  type RegisteredClient,
} from "./clients.ts";
import { SigningKeys } from "./signing-keys.ts";
import { tokenSettings, type TokenSettings, type TokensOptions } from "./options.ts";
import { TokenSecrets } from "./secrets.ts";
import { Sessions, type NewSession, type SessionOwner } from "./sessions.ts";
import { TokenEndpoint, type TokenReply } from "./token-endpoint.ts";
import { isScope } from "./token-request.ts";

/** What {@link Tokens} work with; `createForge` brings it. */
export interface TokenServices {
  readonly durable: Pick<Durable, "read" | "transact">;
  /** The deployment's secret, the same on every node. */
  readonly secret: string;
  /** Where {@link TokensOptions.audience} is not given. */
  readonly audience: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** A session that has begun. */
export interface StartedSession {
  readonly sessionId: string;
  /** In the form in which OAuth clients expect them, to be sent as JSON with `Cache-Control: no-store`. */
  readonly tokens: TokenReply;
}

interface Parts {
  readonly durable: TokenServices["durable"];
  readonly clock: Clock;
  readonly audience: string;
  readonly keys: SigningKeys;
  readonly sessions: Sessions;
  readonly endpoint: TokenEndpoint;
}

/**
 * The deployment's own tokens. Handed to `createForge`, they bring `POST /oauth/token` (grants
 * `client_credentials` and `refresh_token`), are accepted by every route, and are verified by
 * whoever reads `/.well-known/jwks.json`. Access tokens are JWTs of RFC 9068.
 * @example
 * const tokens = new Tokens({ issuer: "https://api.example.com" });
 * // in the handler of a log-in, once the password has been checked:
 * const { tokens: body } = await tokens.startSession(tx, { subject: user.id, tenant: user.tenant });
 */
export class Tokens {
  readonly issuer: string;
  readonly #settings: TokenSettings;
  #opened: Parts | undefined;

  /** @throws {RangeError} for an option that is out of range. */
  constructor(options: TokensOptions) {
    this.#settings = tokenSettings(options);
    this.issuer = options.issuer;
  }

  /** Called by `createForge`: reads the signing keys, and makes the first. */
  async open({ durable, secret, audience, clock, log }: TokenServices): Promise<void> {
    const secrets = new TokenSecrets(secret);
    const settings = { ...this.#settings, audience: this.#settings.audience ?? audience };
    const keys = new SigningKeys({ durable, secrets, clock, log, keyLifeMs: settings.keyLifeMs });
    const sessions = new Sessions(clock, settings);
    const parts = { durable, secrets, clock, log, settings, keys, sessions };
    await keys.open();
    const endpoint = new TokenEndpoint(parts);
    this.#opened = { durable, clock, audience: settings.audience, keys, sessions, endpoint };
  }

  /** Called by `createForge`. */
  get opened(): Parts {
    if (this.#opened !== undefined) return this.#opened;
    throw new TypeError("These tokens belong to no server: hand them to createForge");
  }

  /** The public keys, for verifiers. */
  get keys(): KeySource {
    return this.opened.keys;
  }

  /**
   * Begins a session in the commit of `tx`, for a subject that the caller has authenticated by
   * whatever means. Its refresh token is exchanged at `POST /oauth/token`.
   * @throws {RangeError} for an empty subject or tenant, and a scope that is none (RFC 6749 section 3.3).
   */
  async startSession(tx: Transaction, session: NewSession): Promise<StartedSession> {
    const { keys, sessions, endpoint } = this.opened;
    requireNames({ subject: session.subject, tenant: session.tenant });
    requireScopes(session.scopes);
    const started = await sessions.start(tx, session);
    return {
      sessionId: started.id,
      tokens: await endpoint.tokensOf(await keys.signer(tx), started),
    };
  }

  /**
   * In a transaction of the owner's tenant, whose event tells of it: ends one session of `owner` (a principal will do; the session's id is the claim `sid` of its
   * tokens), or all of them: log-out, log-out everywhere. Answers how many were not over. Their access
   * tokens hold until they expire.
   */
  endSessions(tx: Transaction, owner: SessionOwner, sessionId?: string): Promise<number> {
    return this.opened.sessions.end(tx, owner, sessionId);
  }

  /**
   * Registers a service, in the commit of `tx`. Its secret is told here and never again.
   * @throws {RangeError} for an empty name or tenant, and a scope that is none.
   */
  registerClient(tx: Transaction, client: NewClient): Promise<RegisteredClient> {
    requireNames({ name: client.name, tenant: client.tenant });
    requireScopes(client.scopes);
    return registerClient(tx, this.opened.clock, client);
  }

  /**
   * A new secret for a client; the one before is good for `overlap` more (default 24 hours). Undefined
   * when no client of this id has a secret.
   */
  rotateClientSecret(
    tx: Transaction,
    clientId: string,
    overlap: Duration = "24h",
  ): Promise<string | undefined> {
    return rotateSecret(tx, this.opened.clock, clientId, overlap);
  }

  /** Gives a client no more tokens; those it has hold until they expire. False when it got none before. */
  disableClient(tx: Transaction, clientId: string): Promise<boolean> {
    return disableClient(tx, this.opened.clock, clientId);
  }

  /**
   * Begins to sign with a new key, on every node within a minute. Tokens of the ones before hold until
   * they expire; with `distrust`, for a key that has leaked, they are refused: by this deployment
   * within a minute, where an answer is cached within its 5 minutes, elsewhere once the key set is read again.
   */
  rotateKeys(tx: Transaction, { distrust = false } = {}): Promise<void> {
    return this.opened.keys.rotate(tx, distrust);
  }
}

function requireNames(names: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(names)) {
    if (value === "") throw new RangeError(`${name} must not be empty`);
  }
}

function requireScopes(scopes: readonly string[] = []): void {
  const wrong = scopes.find((scope) => !isScope(scope));
  if (wrong !== undefined) throw new RangeError(`"${wrong}" is no scope: it has no spaces`);
}
