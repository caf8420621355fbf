import type { ClaimMap, ClaimSource, TrustedIssuer } from "../trusted-issuer.ts";

/** Options of {@link cognito}. */
export interface CognitoOptions {
  readonly region: string;
  readonly userPoolId: string;
  /** App clients whose tokens are accepted; access tokens carry no audience. At least one. */
  readonly clientIds: readonly string[];
  /** Claim that a pre token generation trigger adds, or one tenant for the pool. */
  readonly tenant: ClaimSource;
  /** Groups that are roles, the strongest first. Default none. */
  readonly groups?: readonly string[];
  readonly claims?: ClaimMap;
}

/**
 * Access tokens of an Amazon Cognito user pool: the role is the strongest group.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
 */
export function cognito(options: CognitoOptions): TrustedIssuer {
  const issuer = `https://cognito-idp.${options.region}.amazonaws.com/${options.userPoolId}`;
  return {
    issuer,
    audience: undefined,
    jwks: new URL(`${issuer}/.well-known/jwks.json`),
    algorithms: ["RS256"],
    tokenTypes: ["jwt", "at+jwt", null],
    accepts: { token_use: ["access"], client_id: options.clientIds },
    claims: {
      tenant: options.tenant,
      role: "cognito:groups",
      roleOrder: options.groups ?? [],
      ...options.claims,
    },
  };
}
