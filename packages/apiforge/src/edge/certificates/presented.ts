import { hash, type X509Certificate } from "node:crypto";

/** A certificate whose key the caller has: the handshake, here or at a trusted proxy, proved it. */
export interface PresentedCertificate {
  /** SHA-256 of the certificate, base64url: `x5t#S256` of RFC 8705. */
  readonly thumbprint: string;
  readonly x509: X509Certificate;
  /** What the caller sent with it, to get from it to an authority. */
  readonly intermediates: readonly X509Certificate[];
  /** False when the handshake itself found that no authority stands behind it. */
  readonly passedHandshake: boolean;
}

/** More than any chain in use has. */
export const maxIntermediates = 8;

/** `x5t#S256` of a certificate. */
export function thumbprintOf({ raw }: X509Certificate): string {
  return hash("sha256", raw, "base64url");
}
