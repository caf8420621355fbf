import { X509Certificate } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

import { edgeError } from "../errors.ts";
import { maxIntermediates, thumbprintOf, type PresentedCertificate } from "./presented.ts";

// RFC 9651 section 3.3.5, a Byte Sequence without parameters.
const byteSequence = /^ *:([A-Za-z0-9+/]+={0,2}): *$/;

/**
 * The certificate that a proxy has verified and hands on: RFC 9440. Undefined without a `Client-Cert`.
 * @throws {invalid_certificate} for one that cannot be read.
 */
export function readClientCert(headers: IncomingHttpHeaders): PresentedCertificate | undefined {
  const { "client-cert": given, "client-cert-chain": chain } = headers;
  if (given === undefined) return undefined;
  try {
    const x509 = certificateOf(given);
    const intermediates = chain === undefined ? [] : String(chain).split(",").map(certificateOf);
    if (intermediates.length > maxIntermediates) throw new RangeError("Too long a chain");
    return { thumbprint: thumbprintOf(x509), x509, intermediates, passedHandshake: true };
  } catch (error) {
    throw edgeError("invalid_certificate", "The client certificate cannot be read", {
      cause: error,
    });
  }
}

function certificateOf(item: string | string[]): X509Certificate {
  // Node joins two headers of one name, which leaves no Byte Sequence.
  const [, base64] = byteSequence.exec(String(item)) ?? [];
  if (base64 === undefined) throw new SyntaxError("Not a Byte Sequence");
  const der = Buffer.from(base64, "base64");
  const x509 = new X509Certificate(der);
  if (!x509.raw.equals(der)) throw new SyntaxError("More than one certificate in DER");
  return x509;
}
