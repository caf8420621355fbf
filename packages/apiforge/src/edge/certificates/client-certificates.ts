import type { X509Certificate } from "node:crypto";
import type { IncomingMessage } from "node:http";

import type { Clock } from "../../kernel/index.ts";
import type { Principal } from "../auth/principal.ts";
import { edgeError } from "../errors.ts";
import { certificateFinder, type CertificateOf } from "./certificate-finder.ts";
import { KnownWays } from "./known-ways.ts";
import type { PresentedCertificate } from "./presented.ts";
import { CertificateTrust, type TrustOptions } from "./trust.ts";
import { TrustedProxies } from "../trusted-proxies.ts";

/** A client certificate that has been verified. */
export interface VerifiedCertificate {
  /** `x5t#S256` of RFC 8705. */
  readonly thumbprint: string;
  readonly x509: X509Certificate;
}

/** Who the holder of a certificate is. */
export interface CertificateHolder {
  readonly subject: string;
  readonly tenant: string;
  /** Default none. */
  readonly role?: string;
  /** Default none. */
  readonly scopes?: readonly string[];
  /** Default none. */
  readonly plan?: string;
}

/** Tells who a verified certificate stands for; undefined: nobody that is known here. */
export type IdentifyCertificate = (
  certificate: VerifiedCertificate,
) => CertificateHolder | undefined;

/** Options of {@link ClientCertificates}. */
export interface ClientCertificateOptions extends TrustOptions {
  readonly clock: Clock;
  /** Addresses and networks of proxies that end TLS and say the certificate in `Client-Cert`. Default none. */
  readonly trustedProxies?: readonly string[];
  /** Default: a subject and tenant of its own for each certificate, `x5t:` and its thumbprint. */
  readonly identify?: IdentifyCertificate | undefined;
}

interface Entry {
  readonly principal: Principal;
  readonly untilAt: number;
}

const maxAgeMs = 300_000;
const maxEntries = 10_000;

/** Who calls by a client certificate. */
export class ClientCertificates {
  /** The certificate of a request, whoever issued it. */
  readonly of: CertificateOf;
  readonly proxies: TrustedProxies;
  readonly #clock: Clock;
  readonly #identify: IdentifyCertificate;
  readonly #ways = new KnownWays();
  #trust: CertificateTrust;
  #ca: string;
  #known = new Map<string, Entry>();

  /** @throws {TypeError} for authorities, lists or networks that cannot be read. */
  constructor(options: ClientCertificateOptions) {
    this.proxies = new TrustedProxies(options.trustedProxies ?? []);
    this.of = certificateFinder(this.proxies);
    this.#clock = options.clock;
    this.#identify = options.identify ?? holderByThumbprint;
    this.#trust = new CertificateTrust(options);
    this.#ca = options.ca;
  }

  /** The authorities, in PEM. */
  get ca(): string {
    return this.#ca;
  }

  /** From now on these authorities and lists count. @throws {TypeError} for ones that cannot be read; the old stay. */
  renew(options: TrustOptions): void {
    this.#trust = new CertificateTrust(options);
    this.#ca = options.ca;
    this.#known = new Map();
  }

  /**
   * The principal of the certificate that a request must come with.
   * @throws {missing_certificate} without one.
   * @throws {invalid_certificate} for one that is not good, or stands for nobody.
   * @throws {certificate_status_unknown} when a revocation list is missing or out of date.
   */
  verify(request: IncomingMessage): Principal {
    const presented = this.of(request);
    if (presented === undefined) {
      throw edgeError("missing_certificate", "This needs a client certificate");
    }
    const now = this.#clock.now();
    const known = this.#known.get(presented.thumbprint);
    if (known !== undefined && now < known.untilAt) return known.principal;
    return this.#look(this.#ways.complete(presented), now);
  }

  #look(presented: PresentedCertificate, now: number): Principal {
    const goodUntilAt = this.#trust.verify(presented, now);
    this.#ways.keep(presented);
    const { thumbprint, x509 } = presented;
    const holder = this.#identify({ thumbprint, x509 });
    if (holder === undefined) {
      throw edgeError("invalid_certificate", "The client certificate stands for nobody here");
    }
    const { role = "", scopes = [], ...who } = holder;
    const principal = { ...who, role, scopes, credentialId: thumbprint, certificate: thumbprint };
    if (this.#known.size >= maxEntries) this.#known = new Map();
    this.#known.set(thumbprint, { principal, untilAt: Math.min(goodUntilAt, now + maxAgeMs) });
    return principal;
  }
}

function holderByThumbprint({ thumbprint }: VerifiedCertificate): CertificateHolder {
  return { subject: `x5t:${thumbprint}`, tenant: `x5t:${thumbprint}` };
}
