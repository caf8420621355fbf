import { verify, type KeyObject, type X509Certificate } from "node:crypto";
import type { CertificateList } from "@peculiar/asn1-x509";

import { loadAsn1 } from "./asn1.ts";

/** What a revocation list is signed with: RFC 4055, RFC 5758, RFC 8410. */
const hashes: Readonly<Record<string, string | null>> = {
  "1.2.840.113549.1.1.11": "sha256",
  "1.2.840.113549.1.1.12": "sha384",
  "1.2.840.113549.1.1.13": "sha512",
  "1.2.840.10045.4.3.2": "sha256",
  "1.2.840.10045.4.3.3": "sha384",
  "1.2.840.10045.4.3.4": "sha512",
  "1.3.101.112": null,
};
// RFC 7468 section 7 has "X509 CRL"; some tools leave the first word out.
const pem = /-----BEGIN (?:X509 )?CRL-----([\s\S]+?)-----END (?:X509 )?CRL-----/g;

/** Certificates that one authority has taken back: RFC 5280 section 5. */
export class RevocationList {
  /** Of the authority, in DER. */
  readonly issuer: string;
  /** When the next list was to be there; this one says nothing then. */
  readonly nextUpdateAt: number;
  readonly #serials: ReadonlySet<string>;
  readonly #signed: Buffer;
  readonly #signature: Buffer;
  readonly #hash: string | null | undefined;

  /** @throws {TypeError} for bytes that are no list, and for one of a kind that is not understood. */
  constructor(der: Buffer) {
    const asn1 = loadAsn1();
    const list = asn1.AsnConvert.parse(der, asn1.CertificateList);
    const { tbsCertList, signatureAlgorithm, signature } = list;
    const { crlExtensions = [], issuer, nextUpdate, revokedCertificates = [] } = tbsCertList;
    // Delta and indirect lists say so by a critical extension.
    if (crlExtensions.some(({ critical }) => critical)) {
      throw new TypeError("A revocation list of a kind that is not understood");
    }
    this.issuer = nameText(issuer);
    this.nextUpdateAt = nextUpdate?.getTime().getTime() ?? Number.POSITIVE_INFINITY;
    this.#serials = new Set(
      revokedCertificates.map(({ userCertificate }) => serialText(userCertificate)),
    );
    this.#signed = Buffer.from(list.tbsCertListRaw ?? asn1.AsnConvert.serialize(tbsCertList));
    this.#signature = Buffer.from(signature);
    this.#hash = hashes[signatureAlgorithm.algorithm];
  }

  /** Whether the holder of `key` has signed this list. */
  isSignedBy(key: KeyObject): boolean {
    if (this.#hash === undefined) return false;
    return verify(this.#hash, this.#signed, key, this.#signature);
  }

  has({ serialNumber }: X509Certificate): boolean {
    return this.#serials.has(normalSerial(serialNumber));
  }
}

/** The lists of a text in PEM. @throws {TypeError} when there is none in it. */
export function readRevocationLists(text: string): readonly RevocationList[] {
  const lists = [...text.matchAll(pem)].map(
    ([, base64 = ""]) => new RevocationList(Buffer.from(base64, "base64")),
  );
  if (lists.length === 0) throw new TypeError("There is no revocation list in PEM");
  return lists;
}

/** The issuer that a certificate names, comparable with that of a list. */
export function issuerOf({ raw }: X509Certificate): string {
  const { AsnConvert, Certificate } = loadAsn1();
  return nameText(AsnConvert.parse(raw, Certificate).tbsCertificate.issuer);
}

function nameText(name: CertificateList["tbsCertList"]["issuer"]): string {
  return Buffer.from(loadAsn1().AsnConvert.serialize(name)).toString("base64");
}

function serialText(serial: ArrayBuffer): string {
  return normalSerial(Buffer.from(serial).toString("hex"));
}

function normalSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+/, "");
}
