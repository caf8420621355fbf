import { hash } from "node:crypto";

import type { Exchange, TrustedProxies } from "../../edge/index.ts";
import { parseDirectives, type Directives } from "./directives.ts";
import type { Asked } from "./storable.ts";

/** What the cache goes by of one request. */
export interface AskedRequest extends Asked {
  /** The URL as the client has it: what it asks for, and by which host, is what an answer may depend on. */
  readonly url: string;
  /** A hash of who is calling, and with what credentials; undefined where the stages know nobody. */
  readonly caller: string | undefined;
  readonly directives: Directives;
}

const credentials = ["authorization", "cookie", "x-api-key"] as const;

/**
 * @see {AskedRequest}
 * @param withheld fields of the client that its upstream never gets, so that no answer depends on them.
 */
export function askedRequest(
  exchange: Exchange,
  trustedPeers: TrustedProxies,
  withheld: ReadonlySet<string>,
): AskedRequest {
  const { headers, principal } = exchange;
  return {
    url: origin(exchange, trustedPeers) + exchange.url,
    caller: principal === undefined ? undefined : callerOf(exchange),
    isKnownCaller: principal !== undefined,
    hasCredentials: credentials.some((name) => headers[name] !== undefined && !withheld.has(name)),
    directives: parseDirectives(headers["cache-control"]),
  };
}

/**
 * Scheme and authority. A trusted peer's word counts, as it does for the `X-Forwarded-*` fields that the
 * upstream gets: an answer that was made for one host must not be given to another one's clients.
 */
export function origin({ request }: Exchange, trustedPeers: TrustedProxies): string {
  const { headers, socket } = request.raw;
  const isTrusted = trustedPeers.has(socket.remoteAddress);
  const said = (name: string): string | undefined => {
    const value = isTrusted ? headers[name] : undefined;
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const proto = said("x-forwarded-proto") ?? ("encrypted" in socket ? "https" : "http");
  const host = said("x-forwarded-host") ?? headers.host ?? "";
  return `${proto}://${host.toLowerCase()}`;
}

/** The upstream sees the credentials too and may answer by anything in them, so they are part of who calls. */
function callerOf({ principal, headers }: Exchange): string {
  const { authorization = "", cookie = "" } = headers;
  const key = headers["x-api-key"] ?? "";
  const { tenant, subject, certificate } = principal ?? {};
  const parts = [tenant, subject, certificate, authorization, key, cookie];
  return hash("sha256", JSON.stringify(parts), "base64url");
}
