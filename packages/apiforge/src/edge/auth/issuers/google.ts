import type { ClaimMap, TrustedIssuer } from "../trusted-issuer.ts";

/** Options of {@link google}. */
export interface GoogleOptions {
  /** Client id that the tokens were issued to. */
  readonly clientId: string;
  /** Workspace domains whose accounts are accepted (`hd`). Default every account that has a tenant. */
  readonly domains?: readonly string[];
  readonly claims?: ClaimMap;
}

/**
 * ID tokens of Google accounts and service accounts: the tenant is the Workspace domain.
 * https://developers.google.com/identity/openid-connect/openid-connect#an-id-tokens-payload
 */
export function google({ clientId, domains, claims }: GoogleOptions): TrustedIssuer {
  return {
    issuer: "https://accounts.google.com",
    audience: clientId,
    jwks: new URL("https://www.googleapis.com/oauth2/v3/certs"),
    algorithms: ["RS256"],
    tokenTypes: ["jwt"],
    idTokens: true,
    ...(domains === undefined ? {} : { accepts: { hd: domains } }),
    claims: { tenant: "hd", ...claims },
  };
}
