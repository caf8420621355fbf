/** What an API key is for: real data, or data to try things out with. */
export type KeyMode = "live" | "test";

/** Who is calling, as the credentials of the request prove it. */
export interface Principal {
  /** The `sub` of the token. */
  readonly subject: string;
  /** Owner of the data that the caller works with. */
  readonly tenant: string;
  /** Empty when the token carries none; such a caller passes no route that names roles. */
  readonly role: string;
  readonly email?: string;
  readonly scopes: readonly string[];
  /** The plan that the credential belongs to; undefined for one without. */
  readonly plan?: string;
  /** Id of the credential, where it has one: limits and logs tell callers of one subject apart by it. */
  readonly credentialId?: string;
  /**
   * Thumbprint (`x5t#S256`) of the client certificate that proves the caller, that a route asks for
   * beside a token, or that the token is bound to. Undefined where no certificate is asked for.
   */
  readonly certificate?: string;
  /** What an API key is for: real data, or data to try things out with. Undefined for a token. */
  readonly keyMode?: KeyMode;
  /** What the deployment adds; see `AuthoriserOptions.enrich`. */
  readonly context?: Readonly<Record<string, unknown>>;
  /** Every claim of the verified token. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** Tenant of requests that carry no token: what they write belongs to nobody in particular. */
export const publicTenant = "public";
