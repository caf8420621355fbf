import { X509Certificate } from "node:crypto";

import { edgeError } from "../errors.ts";
import { constraintsOf } from "./extensions.ts";
import type { PresentedCertificate } from "./presented.ts";
import { issuerOf, readRevocationLists, type RevocationList } from "./revocation-list.ts";

/** Whose client certificates are good. */
export interface TrustOptions {
  /** Certificates of the authorities, in PEM. */
  readonly ca: string;
  /**
   * Their revocation lists, in PEM. With any, every authority on the way to a client needs a list that
   * is not out of date. Default none: nothing is revoked.
   */
  readonly crl?: string | undefined;
}

const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const clientAuth = ["1.3.6.1.5.5.7.3.2", "2.5.29.37.0"];
/** Authorities between a client and one that is trusted. */
const maxDepth = 4;

/** From a client on, each signed by the next. */
type Path = readonly X509Certificate[];

/** The authorities that are trusted, with what they have revoked. */
export class CertificateTrust {
  readonly #anchors: readonly X509Certificate[];
  readonly #lists: readonly RevocationList[];

  /** @throws {TypeError} for texts without certificates or lists in them. */
  constructor({ ca, crl }: TrustOptions) {
    this.#anchors = [...ca.matchAll(pem)].map(([text]) => new X509Certificate(text));
    if (this.#anchors.length === 0) throw new TypeError("There is no certificate in PEM");
    this.#lists = crl === undefined ? [] : readRevocationLists(crl);
  }

  /**
   * Until when a certificate is good, as far as is known now.
   * @throws {invalid_certificate} saying why it is not.
   * @throws {certificate_status_unknown} when an authority's revocation list is missing or out of date.
   */
  verify({ x509, intermediates, passedHandshake }: PresentedCertificate, nowMs: number): number {
    const path = passedHandshake ? this.#pathOf(x509, intermediates) : undefined;
    if (path === undefined) {
      throw invalid("was not issued by an authority that is trusted here");
    }
    if (!path.slice(0, -1).every(isForClients)) throw invalid("is not one for clients");
    return Math.min(
      ...path.map((certificate, n) => this.#goodUntil(certificate, path[n + 1], nowMs)),
    );
  }

  /**
   * The shortest way from the certificate to a trusted authority: RFC 5280 section 6, without name
   * constraints and policies. Each certificate is looked at once: a caller makes up what he sends, and could
   * send some that all vouch for each other.
   */
  #pathOf(leaf: X509Certificate, intermediates: readonly X509Certificate[]): Path | undefined {
    const reached = new Set([leaf.fingerprint256]);
    let paths: readonly Path[] = constraintsOf(leaf).isBeyondUs ? [] : [[leaf]];
    for (let depth = 0; depth <= maxDepth; depth++) {
      const longer: Path[] = [];
      for (const path of paths) {
        const anchor = this.#anchors.find((each) => mayVouchFor(path, each));
        if (anchor !== undefined) return [...path, anchor];
        for (const issuer of intermediates) {
          if (reached.has(issuer.fingerprint256) || !mayVouchFor(path, issuer)) continue;
          reached.add(issuer.fingerprint256);
          longer.push([...path, issuer]);
        }
      }
      paths = longer;
    }
    return undefined;
  }

  #goodUntil(certificate: X509Certificate, issuer: X509Certificate | undefined, nowMs: number) {
    const untilAt = certificate.validToDate.getTime();
    if (nowMs < certificate.validFromDate.getTime()) throw invalid("is not valid yet");
    if (nowMs > untilAt) throw invalid("has expired");
    // The authority that is trusted has no issuer, and is taken back by not being trusted.
    if (issuer === undefined || this.#lists.length === 0) return untilAt;
    const name = issuerOf(certificate);
    const list = this.#lists.find(
      (each) =>
        each.issuer === name && nowMs <= each.nextUpdateAt && each.isSignedBy(issuer.publicKey),
    );
    if (list === undefined) {
      throw edgeError(
        "certificate_status_unknown",
        "Whether the client certificate was revoked cannot be told now",
      );
    }
    if (list.has(certificate)) throw invalid("was revoked");
    return Math.min(untilAt, list.nextUpdateAt);
  }
}

/** Whether `issuer` has signed the last of a path that begins with a client, and may have. */
function mayVouchFor(path: Path, issuer: X509Certificate): boolean {
  const last = path.at(-1);
  if (last === undefined || !issuer.ca) return false;
  if (!last.checkIssued(issuer) || !last.verify(issuer.publicKey)) return false;
  const { isBeyondUs, pathLength } = constraintsOf(issuer);
  // Of the path all but the client's own are authorities.
  return !isBeyondUs && pathLength >= path.length - 1;
}

/** An authority that names uses may vouch for those alone, as the handshake has it too. */
function isForClients({ keyUsage }: X509Certificate): boolean {
  // The types do not know that there may be none.
  const usages: readonly string[] | undefined = keyUsage;
  return usages === undefined || usages.some((usage) => clientAuth.includes(usage));
}

function invalid(why: string): Error {
  return edgeError("invalid_certificate", `The client certificate ${why}`);
}
