/** Codes of RFC 6749 section 5.2. */
export type OAuthErrorCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "invalid_scope";

/** A token request that is refused, in the words of RFC 6749; thrown and answered by the endpoint. */
export class OAuthRefusal extends Error {
  readonly code: OAuthErrorCode;

  /** @param description shown to the caller: printable ASCII without quotes and backslashes. */
  constructor(code: OAuthErrorCode, description: string, options?: ErrorOptions) {
    super(description, options);
    this.code = code;
  }
}
