// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it to be loaded first
import "reflect-metadata";
import { randomBytes } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const yearMs = 365 * 86_400_000;
const hourMs = 3_600_000;
const serialBytes = 16;
const usages = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth };

/** A certificate with its key, in PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Gives out certificates; its own key is nowhere but in memory. */
export interface CertificateAuthority {
  /** In PEM. */
  readonly cert: string;
  /** A certificate for a year, good for this machine's loopback. */
  issue(commonName: string, usage: keyof typeof usages): Promise<IssuedCertificate>;
}

/** Makes an authority that holds for a year. */
export async function createAuthority(commonName: string): Promise<CertificateAuthority> {
  const own = await newKeys();
  const issuer = `CN=${commonName}`;
  const validity = {
    notBefore: new Date(Date.now() - hourMs),
    notAfter: new Date(Date.now() + yearMs),
  };
  const signing = { issuer, signingKey: own.privateKey, signingAlgorithm: algorithm, ...validity };
  const root = await X509CertificateGenerator.create({
    ...signing,
    serialNumber: newSerial(),
    subject: issuer,
    publicKey: own.publicKey,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    cert: root.toString("pem"),
    async issue(subject, usage) {
      const keys = await newKeys();
      const certificate = await X509CertificateGenerator.create({
        ...signing,
        serialNumber: newSerial(),
        subject: `CN=${subject}`,
        publicKey: keys.publicKey,
        extensions: [
          new BasicConstraintsExtension(false),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([usages[usage]]),
          new SubjectAlternativeNameExtension([
            { type: "ip", value: "127.0.0.1" },
            { type: "dns", value: "localhost" },
          ]),
        ],
      });
      const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
      return {
        cert: certificate.toString("pem"),
        key: PemConverter.encode(pkcs8, PemConverter.PrivateKeyTag),
      };
    },
  };
}

function newKeys() {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

/** Positive, as RFC 5280 section 4.1.2.2 wants it. */
function newSerial(): string {
  const bytes = randomBytes(serialBytes);
  bytes[0] = (bytes[0] ?? 0) & 0x7f || 1;
  return bytes.toString("hex");
}
