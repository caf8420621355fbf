import { createRequire } from "node:module";
import type * as Asn1Schema from "@peculiar/asn1-schema";
import type * as Asn1X509 from "@peculiar/asn1-x509";

const require = createRequire(import.meta.url);

/** The parsers of certificates and their revocation lists, loaded with the first of either (25 ms). */
export function loadAsn1() {
  const { AsnConvert } = require("@peculiar/asn1-schema") as typeof Asn1Schema;
  const { BasicConstraints, Certificate, CertificateList } =
    require("@peculiar/asn1-x509") as typeof Asn1X509;
  return { AsnConvert, BasicConstraints, Certificate, CertificateList };
}
