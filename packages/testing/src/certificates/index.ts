// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it to be loaded first
import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
} from "@peculiar/x509";

export { ExtendedKeyUsageExtension, Extension };

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const hourMs = 3_600_000;
const clientAuth = "1.3.6.1.5.5.7.3.2";
const serverAuth = "1.3.6.1.5.5.7.3.1";

type KeyPair = Awaited<ReturnType<typeof newKeys>>;

/** A certificate with its key. */
export interface Credentials {
  /** In PEM, with the authorities that lead to a trusted one. */
  readonly cert: string;
  /** In PEM. */
  readonly key: string;
  readonly x509: X509Certificate;
}

/** How a certificate differs from a good one for clients. */
export interface IssueOptions {
  readonly from?: Date;
  readonly until?: Date;
  readonly usage?: "client" | "server" | "any";
  readonly extensions?: readonly Extension[];
}

/** How an authority differs from a good one that may have others under it. */
export interface AuthorityOptions {
  readonly issuer?: Authority;
  readonly pathLength?: number;
  readonly isCa?: boolean;
  readonly until?: Date;
  readonly extensions?: readonly Extension[];
}

let serial = 0;

/** A name that certificates are good for beside 127.0.0.1, for clients that take no address for one. */
export const ownName = "own.test";

/** Makes certificates, as an organisation's authority does. */
export class Authority {
  readonly name: string;
  readonly cert: string;
  /** Of the authorities between this one and the first, nearest first, in PEM. */
  readonly chain: string;
  readonly #keys: KeyPair;

  private constructor(name: string, cert: string, chain: string, keys: KeyPair) {
    this.name = name;
    this.cert = cert;
    this.chain = chain;
    this.#keys = keys;
  }

  static async create(commonName: string, options: AuthorityOptions = {}): Promise<Authority> {
    const { issuer, pathLength, isCa = true, until = hoursFromNow(24), extensions = [] } = options;
    const keys = await newKeys();
    const name = `CN=${commonName}`;
    const cert = await certify(keys, {
      subject: name,
      issuer: issuer?.name ?? name,
      signer: (issuer === undefined ? keys : issuer.#keys).privateKey,
      until,
      extensions: [new BasicConstraintsExtension(isCa, pathLength, true), ...extensions],
    });
    const chain = issuer === undefined ? "" : `${cert}\n${issuer.chain}`;
    return new Authority(name, cert, chain, keys);
  }

  /** Certificates that differ from this one's by their number alone, in PEM: each may have issued each. */
  lookalikes(count: number): Promise<readonly string[]> {
    const own = { subject: this.name, issuer: this.name, signer: this.#keys.privateKey };
    const extensions = [new BasicConstraintsExtension(true, undefined, true)];
    const until = hoursFromNow(24);
    return Promise.all(
      Array.from({ length: count }, () => certify(this.#keys, { ...own, until, extensions })),
    );
  }

  async issue(commonName: string, options: IssueOptions = {}): Promise<Credentials> {
    const { from = hoursFromNow(-1), until = hoursFromNow(1), usage = "client" } = options;
    const keys = await newKeys();
    const usages = { client: [clientAuth], server: [serverAuth], any: [] }[usage];
    const certificate = await X509CertificateGenerator.create({
      serialNumber: nextSerial(),
      subject: `CN=${commonName}`,
      issuer: this.name,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      notBefore: from,
      notAfter: until,
      extensions: [
        new BasicConstraintsExtension(false),
        new SubjectAlternativeNameExtension([
          { type: "ip", value: "127.0.0.1" },
          { type: "dns", value: ownName },
        ]),
        ...(usages.length === 0 ? [] : [new ExtendedKeyUsageExtension(usages)]),
        ...(options.extensions ?? []),
      ],
    });
    const pem = certificate.toString("pem");
    const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
    return {
      cert: `${pem}\n${this.chain}`,
      key: PemConverter.encode(pkcs8, PemConverter.PrivateKeyTag),
      x509: new X509Certificate(pem),
    };
  }

  /** A revocation list in PEM, which holds for an hour unless it says otherwise. */
  async revoke(revoked: readonly X509Certificate[], nextUpdate = hoursFromNow(1)): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.name,
      thisUpdate: hoursFromNow(-24),
      nextUpdate,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      entries: revoked.map(({ serialNumber }) => ({
        serialNumber,
        revocationDate: hoursFromNow(-1),
      })),
    });
    return list.toString("pem");
  }
}

export function hoursFromNow(hours: number): Date {
  return new Date(Math.floor(Date.now() / 1_000) * 1_000 + hours * hourMs);
}

interface AuthorityCertificate {
  readonly subject: string;
  readonly issuer: string;
  readonly signer: KeyPair["privateKey"];
  readonly until: Date;
  readonly extensions: readonly Extension[];
}

/** The certificate of an authority, in PEM. */
async function certify({ publicKey }: KeyPair, given: AuthorityCertificate): Promise<string> {
  const { subject, issuer, signer, until, extensions } = given;
  const certificate = await X509CertificateGenerator.create({
    serialNumber: nextSerial(),
    subject,
    issuer,
    publicKey,
    signingKey: signer,
    signingAlgorithm: algorithm,
    notBefore: hoursFromNow(-24),
    notAfter: until,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...extensions,
    ],
  });
  return certificate.toString("pem");
}

function newKeys() {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function nextSerial(): string {
  serial += 1;
  return (0x10_00_00 + serial).toString(16);
}
