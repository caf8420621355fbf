import type { ClaimMap, TrustedIssuer } from "../trusted-issuer.ts";

/** Options of {@link clerk}. */
export interface ClerkOptions {
  /** Host of the Frontend API, such as `clerk.example.com`. */
  readonly frontendApi: string;
  /** Origins whose sessions are accepted (`azp`), since Clerk sets no audience. At least one. */
  readonly authorizedParties: readonly string[];
  readonly claims?: ClaimMap;
}

/**
 * Session tokens of Clerk, version 2: the tenant is the active organization, the role is the
 * caller's in it. https://clerk.com/docs/guides/sessions/session-tokens
 */
export function clerk({ frontendApi, authorizedParties, claims }: ClerkOptions): TrustedIssuer {
  return {
    issuer: `https://${frontendApi}`,
    audience: undefined,
    jwks: new URL(`https://${frontendApi}/.well-known/jwks.json`),
    algorithms: ["RS256"],
    tokenTypes: ["jwt"],
    accepts: { azp: authorizedParties },
    claims: { tenant: ["o", "id"], role: ["o", "rol"], ...claims },
  };
}
