import type { ClaimMap, TrustedIssuer } from "../trusted-issuer.ts";

/** Options of {@link firebase}. */
export interface FirebaseOptions {
  readonly projectId: string;
  readonly claims?: ClaimMap;
}

/**
 * ID tokens of Firebase Authentication, the only ones it has: the tenant is that of Identity
 * Platform, the role a custom claim `role`. https://firebase.google.com/docs/auth/admin/verify-id-tokens
 */
export function firebase({ projectId, claims }: FirebaseOptions): TrustedIssuer {
  return {
    issuer: `https://securetoken.google.com/${projectId}`,
    audience: projectId,
    jwks: new URL(
      "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
    ),
    algorithms: ["RS256"],
    tokenTypes: ["jwt"],
    idTokens: true,
    claims: { tenant: ["firebase", "tenant"], ...claims },
  };
}
