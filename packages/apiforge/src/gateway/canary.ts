import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

import type { Exchange } from "../edge/index.ts";
import { EvenSpread } from "./even-spread.ts";
import type { Upstream } from "./upstream.ts";

/** A field or cookie that a request has. */
export interface RequestMark {
  readonly name: string;
  readonly value: string;
}

/** An upstream that some of a route's requests go to, in the place of the route's own. */
export interface Canary {
  readonly upstream: Upstream;
  /** Of the requests that nothing else decides, 0 to 1; default 0. None while all of its endpoints are left alone. */
  readonly share?: number;
  /** Requests with this field go there, whatever the share. */
  readonly header?: RequestMark;
  /** Requests with this cookie go there, whatever the share. */
  readonly cookie?: RequestMark;
}

/**
 * Whose requests go to one upstream as long as shares stay as they are: those of a `principal` (an address
 * for callers without one), of a `client`'s address, or of what the function answers.
 */
export type StickyBy = "principal" | "client" | ((exchange: Exchange) => string);

/** Where each request of a route goes. */
export class Canaries {
  readonly #own: Upstream;
  readonly #canaries: readonly Canary[];
  readonly #stickyBy: StickyBy | undefined;
  readonly #spread = new EvenSpread();

  /** @throws {TypeError} for shares that are none, or more than the whole together. */
  constructor(own: Upstream, canaries: readonly Canary[], stickyBy: StickyBy | undefined) {
    const shares = canaries.map(({ share = 0 }) => share);
    const sum = shares.reduce((total, share) => total + share, 0);
    if (shares.some((share) => !(share >= 0)) || sum > 1) {
      throw new TypeError(
        `Upstream ${own.name}: shares of canaries are 0 to 1, and so is their sum`,
      );
    }
    this.#own = own;
    this.#canaries = canaries;
    this.#stickyBy = stickyBy;
  }

  choose(exchange: Exchange): Upstream {
    return this.#marked(exchange) ?? this.#byShare(exchange);
  }

  #marked({ headers }: Exchange): Upstream | undefined {
    return markedCanary(this.#canaries, headers)?.upstream;
  }

  #byShare(exchange: Exchange): Upstream {
    const point = this.#pointOf(exchange);
    let end = 0;
    for (const { upstream, share = 0 } of this.#canaries) {
      end += share;
      if (point < end) return upstream.isUp ? upstream : this.#own;
    }
    return this.#own;
  }

  /** 0 to 1. */
  #pointOf(exchange: Exchange): number {
    if (this.#stickyBy === undefined) return this.#spread.next();
    const digest = hash("sha256", subjectOf(this.#stickyBy, exchange), "buffer");
    return digest.readUInt32BE() / 2 ** 32;
  }
}

/** The canary that a request with these fields, names in lower case, asks for; undefined for none. */
export function markedCanary(
  canaries: readonly Canary[],
  headers: IncomingHttpHeaders,
): Canary | undefined {
  return canaries.find(
    ({ header, cookie }) =>
      (header !== undefined && headers[header.name.toLowerCase()] === header.value) ||
      (cookie !== undefined && hasCookie(headers.cookie, cookie)),
  );
}

function subjectOf(stickyBy: StickyBy, exchange: Exchange): string {
  if (typeof stickyBy === "function") return stickyBy(exchange);
  const { principal, request } = exchange;
  if (stickyBy === "client" || principal === undefined) return `client ${request.ip}`;
  return JSON.stringify([principal.tenant, principal.subject]);
}

function hasCookie(cookies: string | undefined, { name, value }: RequestMark): boolean {
  return cookies?.split(";").some((pair) => pair.trim() === `${name}=${value}`) === true;
}
