import type { Durable } from "../../durable/index.ts";
import type { Clock, Log } from "../../kernel/index.ts";
import { signAccessToken } from "./access-token.ts";
import { authenticateClient, type Client, type ClientCredentials } from "./clients.ts";
import type { SigningKeys } from "./signing-keys.ts";
import { OAuthRefusal, type OAuthErrorCode } from "./oauth-refusal.ts";
import type { TokenSettings } from "./options.ts";
import { isGenuine, parseRefreshToken, refreshToken } from "./refresh-token.ts";
import type { TokenSecrets } from "./secrets.ts";
import type { Session } from "./session-row.ts";
import type { Sessions } from "./sessions.ts";
import type { SigningKey } from "./signing-key.ts";
import { readCredentials, readForm, readScopes, type TokenRequest } from "./token-request.ts";

/** Tokens as a client gets them: RFC 6749 section 5.1. */
export interface TokenReply {
  readonly access_token: string;
  readonly token_type: "Bearer";
  /** Seconds that the access token holds. */
  readonly expires_in: number;
  /** Only of a session. */
  readonly refresh_token?: string;
  /** Separated by spaces; absent where the token carries none. */
  readonly scope?: string;
}

/** A refusal as a client gets it: RFC 6749 section 5.2. */
export interface TokenRefusal {
  readonly error: OAuthErrorCode;
  readonly error_description: string;
}

/** What the token endpoint answers. */
export type TokenAnswer =
  | { readonly status: 200; readonly body: TokenReply }
  | { readonly status: 400 | 401; readonly body: TokenRefusal };

/** What the token endpoint works with. */
export interface TokenEndpointParts {
  readonly durable: Pick<Durable, "read" | "transact">;
  readonly secrets: TokenSecrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: TokenSettings & { readonly audience: string };
  readonly keys: SigningKeys;
  readonly sessions: Sessions;
}

const label = "POST /oauth/token";
/** `client_id` of tokens of a session that names no client (RFC 9068 section 2.2 requires one). */
const firstParty = "first-party";

/** Gives out tokens: RFC 6749 with the profile of RFC 9700, for the grants that need no browser. */
export class TokenEndpoint {
  readonly #parts: TokenEndpointParts;

  constructor(parts: TokenEndpointParts) {
    this.#parts = parts;
  }

  /** Answers a request; whatever is refused by RFC 6749 is an answer too. */
  async answer(request: TokenRequest, requestId: string): Promise<TokenAnswer> {
    try {
      return { status: 200, body: await this.#grant(request, requestId) };
    } catch (error) {
      if (!(error instanceof OAuthRefusal)) throw error;
      const status = error.code === "invalid_client" ? 401 : 400;
      return { status, body: { error: error.code, error_description: error.message } };
    }
  }

  /** The tokens of a session, whose refresh token is that of its generation. */
  async tokensOf(
    key: SigningKey,
    session: Session,
    scopes: readonly string[] = session.scopes,
  ): Promise<TokenReply> {
    const { accessTtlMs } = this.#parts.settings;
    const { id, seed, generation, clientId, ...who } = session;
    const named = { ...who, scopes, clientId: clientId ?? firstParty, sessionId: id };
    return {
      ...(await this.#accessToken(key, named, accessTtlMs)),
      refresh_token: refreshToken(this.#parts.secrets, id, seed, generation),
    };
  }

  #grant(request: TokenRequest, requestId: string): Promise<TokenReply> {
    const form = readForm(request);
    switch (form.get("grant_type")) {
      case undefined:
        throw new OAuthRefusal("invalid_request", "grant_type is missing");
      case "client_credentials":
        return this.#clientCredentials(request, form);
      case "refresh_token":
        return this.#refresh(request, form, requestId);
      default:
        throw new OAuthRefusal(
          "unsupported_grant_type",
          "grant_type is client_credentials or refresh_token",
        );
    }
  }

  async #clientCredentials(
    request: TokenRequest,
    form: ReadonlyMap<string, string>,
  ): Promise<TokenReply> {
    const asked = readScopes(form);
    const client = await this.#client(request, form);
    if (client === undefined) {
      throw new OAuthRefusal("invalid_client", "The client did not authenticate itself");
    }
    const claims = {
      ...client,
      subject: client.id,
      clientId: client.id,
      email: null,
      scopes: allowedScopes(asked, client.scopes),
      sessionId: null,
    };
    const key = await this.#parts.keys.signerNow();
    return this.#accessToken(key, claims, this.#parts.settings.serviceTtlMs);
  }

  async #refresh(
    request: TokenRequest,
    form: ReadonlyMap<string, string>,
    requestId: string,
  ): Promise<TokenReply> {
    const { durable, secrets, sessions, keys } = this.#parts;
    const asked = readScopes(form);
    const text = form.get("refresh_token");
    if (text === undefined) throw new OAuthRefusal("invalid_request", "refresh_token is missing");
    const client = await this.#client(request, form);
    const token = parseRefreshToken(text);
    if (token === undefined) throw notGood();
    const session = await durable.read(label, (reader) => sessions.find(reader, token.sessionId));
    if (session === undefined || !isGenuine(secrets, token, session.seed)) throw notGood();
    requireHolder(session, client, request.certificate);
    const scopes = allowedScopes(asked, session.scopes);
    const actor = { tenant: session.tenant, requestId };
    const exchange = await durable.transact(label, actor, (tx) =>
      sessions.exchange(tx, session, token),
    );
    if ("session" in exchange) {
      // After the commit: a writer does not wait for a signature, and a lost answer is asked for again.
      return this.tokensOf(await keys.signerNow(), exchange.session, scopes);
    }
    if (exchange.outcome === "reused") {
      const { id: sessionId, tenant } = session;
      this.#parts.log.warn(
        { sessionId, tenant, requestId },
        "a refresh token was used after its successor; its session has ended",
      );
    }
    throw notGood();
  }

  /** The client that has authenticated itself; undefined for a request that names none. */
  async #client(
    request: TokenRequest,
    form: ReadonlyMap<string, string>,
  ): Promise<Client | undefined> {
    const { durable, clock } = this.#parts;
    const credentials = readCredentials(request, form);
    if (credentials === undefined || isApp(credentials)) return undefined;
    const client = await durable.read(label, (reader) =>
      authenticateClient(reader, clock, credentials),
    );
    if (client !== undefined) return client;
    throw new OAuthRefusal("invalid_client", "The client is not known, or its proof is wrong");
  }

  async #accessToken(
    key: SigningKey,
    claims: Omit<Parameters<typeof signAccessToken>[1], "issuer" | "audience">,
    ttlMs: number,
  ): Promise<TokenReply> {
    const { settings, clock } = this.#parts;
    const { issuer, audience } = settings;
    const named = { ...claims, issuer, audience };
    return {
      access_token: await signAccessToken(key, named, clock.now(), ttlMs),
      token_type: "Bearer",
      expires_in: Math.floor(ttlMs / 1_000),
      ...(claims.scopes.length === 0 ? {} : { scope: claims.scopes.join(" ") }),
    };
  }
}

/** A client without credentials that says its name all the same (RFC 6749 section 3.2.1). */
function isApp({ id, secret }: ClientCredentials): boolean {
  return id === firstParty && secret === undefined;
}

/** Refuses whoever cannot be the one that the session was given to. */
function requireHolder(
  { clientId, certificate }: Session,
  client: Client | undefined,
  presented: string | undefined,
): void {
  if (clientId !== null && client === undefined) {
    throw new OAuthRefusal("invalid_client", "The client did not authenticate itself");
  }
  // A client that presents another's token is told no more than for a token that there never was.
  if (clientId !== null && client?.id !== clientId) throw notGood();
  if (certificate !== null && presented !== certificate) throw notGood();
}

function allowedScopes(
  asked: readonly string[] | undefined,
  granted: readonly string[],
): readonly string[] {
  if (asked === undefined) return granted;
  if (asked.every((scope) => granted.includes(scope))) return asked;
  throw new OAuthRefusal("invalid_scope", "A scope was asked for that is not granted");
}

function notGood(): OAuthRefusal {
  return new OAuthRefusal("invalid_grant", "The refresh token does not hold, or no more");
}
