import type { X509Certificate } from "node:crypto";

import { loadAsn1 } from "./asn1.ts";

const basicConstraints = "2.5.29.19";
const nameConstraints = "2.5.29.30";
/** Key usage, subject alternative name, basic constraints, certificate policies and extended key usage: RFC 5280 section 4.2.1. */
const understood = new Set(["2.5.29.15", "2.5.29.17", basicConstraints, "2.5.29.32", "2.5.29.37"]);

/** What Node.js does not tell of a certificate. */
export interface Constraints {
  /** How many authorities may stand between this one and a client; infinite where it does not say. */
  readonly pathLength: number;
  /** It limits itself in a way that is not understood here, so nothing may be concluded from it. */
  readonly isBeyondUs: boolean;
}

/**
 * RFC 5280 section 4.2: a certificate with a critical extension that is not understood is not used. Neither is
 * one that OpenSSL reads more kindly than the parser here.
 */
export function constraintsOf({ raw }: X509Certificate): Constraints {
  try {
    return read(raw);
  } catch {
    return { pathLength: 0, isBeyondUs: true };
  }
}

function read(raw: Uint8Array): Constraints {
  const { AsnConvert, BasicConstraints, Certificate } = loadAsn1();
  const { extensions = [] } = AsnConvert.parse(raw, Certificate).tbsCertificate;
  const basic = extensions.find(({ extnID }) => extnID === basicConstraints);
  const { pathLenConstraint } =
    basic === undefined ? {} : AsnConvert.parse(basic.extnValue, BasicConstraints);
  return {
    pathLength: pathLenConstraint ?? Number.POSITIVE_INFINITY,
    isBeyondUs: extensions.some(
      ({ extnID, critical }) => extnID === nameConstraints || (critical && !understood.has(extnID)),
    ),
  };
}
