import type { X509Certificate } from "node:crypto";

import type { PresentedCertificate } from "./presented.ts";

const maxWays = 10_000;

/**
 * The ways from clients to their authorities. A TLS session that is resumed brings the client's certificate
 * without the ones between, so those that led to an authority once are kept.
 */
export class KnownWays {
  #ways = new Map<string, readonly X509Certificate[]>();

  /** What a certificate came with, else what it came with when it was found good. */
  complete(presented: PresentedCertificate): PresentedCertificate {
    if (presented.intermediates.length > 0) return presented;
    const intermediates = this.#ways.get(presented.thumbprint);
    return intermediates === undefined ? presented : { ...presented, intermediates };
  }

  /** Keeps the way of a certificate that is good; of others it would be a stranger's to fill. */
  keep({ thumbprint, intermediates }: PresentedCertificate): void {
    if (intermediates.length === 0) return;
    if (this.#ways.size >= maxWays) this.#ways = new Map();
    this.#ways.set(thumbprint, intermediates);
  }
}
