import type { ClaimMap, TrustedIssuer } from "../trusted-issuer.ts";

/** Options of {@link auth0}. */
export interface Auth0Options {
  /** `tenant.eu.auth0.com`, or a custom domain. */
  readonly domain: string;
  /** Identifier of the API. */
  readonly audience: string;
  /** Replaces single sources; roles come in a claim of your own, such as `https://example.com/roles`. */
  readonly claims?: ClaimMap;
}

/**
 * Access tokens of Auth0: the tenant is the organization, scopes are `scope` and, with role based
 * access on, `permissions`. https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles
 */
export function auth0({ domain, audience, claims }: Auth0Options): TrustedIssuer {
  return {
    issuer: `https://${domain}/`,
    audience,
    jwks: new URL(`https://${domain}/.well-known/jwks.json`),
    algorithms: ["RS256", "PS256"],
    tokenTypes: ["jwt", "at+jwt"],
    claims: { tenant: "org_id", scopes: ["scope", "permissions"], ...claims },
  };
}
