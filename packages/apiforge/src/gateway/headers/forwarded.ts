import type { IncomingMessage } from "node:http";

import type { TrustedProxies } from "../../edge/index.ts";
import { pseudonym, shadowField } from "../identity.ts";

// Anybody can write these; they say something only when a trusted peer wrote them.
const claims: ReadonlySet<string> = new Set([
  "forwarded",
  "client-cert",
  "client-cert-chain",
  // The client's address.
  "cf-connecting-ip",
  "fastly-client-ip",
  "true-client-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-real-ip",
  // Another method, host or path than the stages have decided by; frameworks take their word.
  "x-host",
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-original-host",
  "x-original-url",
  "x-rewrite-url",
  // A copy, which whoever gets it may not carry out.
  shadowField,
]);
const rebuilt: ReadonlySet<string> = new Set([
  "forwarded",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/** True for a field about the client that is dropped, or written anew by {@link addForwarded}. */
export function isClaim(name: string, isTrusted: boolean): boolean {
  if (isTrusted) return rebuilt.has(name);
  return name.startsWith("x-forwarded-") || claims.has(name);
}

/** Adds `Forwarded` (RFC 7239) and the `X-Forwarded-*` fields: what a trusted peer said, and this hop. */
export function addForwarded(
  headers: string[],
  request: IncomingMessage,
  peers: TrustedProxies,
): void {
  const { remoteAddress = "" } = request.socket;
  const host = request.headers.host ?? "";
  const proto = "encrypted" in request.socket ? "https" : "http";
  const node = remoteAddress.includes(":") ? `"[${remoteAddress}]"` : remoteAddress;
  const member = `for=${node};host="${host}";proto=${proto};by=_${pseudonym}`;
  if (!peers.has(remoteAddress)) {
    headers.push("x-forwarded-for", remoteAddress, "x-forwarded-host", host);
    headers.push("x-forwarded-proto", proto, "forwarded", member);
    return;
  }
  const said = (name: string): string | undefined => {
    const value = request.headers[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const earlier = said("x-forwarded-for");
  headers.push("x-forwarded-for", earlier ? `${earlier}, ${remoteAddress}` : remoteAddress);
  headers.push("x-forwarded-host", said("x-forwarded-host") ?? host);
  headers.push("x-forwarded-proto", said("x-forwarded-proto") ?? proto);
  const elements = said("forwarded");
  headers.push("forwarded", elements ? `${elements}, ${member}` : member);
}
