import type { IncomingMessage } from "node:http";

import type { Exchange, TrustedProxies } from "../../edge/index.ts";
import { pseudonym, viaMember } from "../identity.ts";
import { addForwarded, isClaim } from "./forwarded.ts";
import { endsHere, namedByConnection } from "./hop-by-hop.ts";

/** How the fields of a request are passed on. */
export interface RequestHeaderOptions {
  readonly trustedPeers: TrustedProxies;
  /** The upstream gets the client's `Host` instead of its own. */
  readonly preserveHost: boolean;
}

// Answered here: `Expect` by Node, the id and the trace by the edge.
const ours: ReadonlySet<string> = new Set([
  "expect",
  "host",
  "traceparent",
  "tracestate",
  "via",
  "x-request-id",
]);

// Of several of these Node has the stages see the first; an upstream that reads another one would not have what was checked.
const single: ReadonlySet<string> = new Set([
  "authorization",
  "content-type",
  "from",
  "if-modified-since",
  "if-unmodified-since",
  "referer",
  "user-agent",
]);

/**
 * The fields of a request as its upstream gets them, flat as `[name, value, …]`. What the client
 * names in `Connection` is gone before anything of ours is added, so that it cannot take that away.
 */
export function requestHeaders(exchange: Exchange, options: RequestHeaderOptions): string[] {
  const request = exchange.request.raw;
  const { rawHeaders, headers } = request;
  const named = namedByConnection(headers.connection);
  const isTrusted = options.trustedPeers.has(request.socket.remoteAddress);
  const passed: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? "").toLowerCase();
    if (endsHere(name) || ours.has(name) || isClaim(name, isTrusted) || named.has(name)) continue;
    // Gateways that hand headers on as variables confuse them with those that have a hyphen.
    if (name.includes("_")) continue;
    if (single.has(name) && hasField(passed, name)) continue;
    passed.push(name, rawHeaders[index + 1] ?? "");
  }
  if (options.preserveHost && headers.host !== undefined) passed.push("host", headers.host);
  if (/(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(String(headers.te ?? "")))
    passed.push("te", "trailers");
  addForwarded(passed, request, options.trustedPeers);
  passed.push("via", headers.via === undefined ? viaMember : `${headers.via}, ${viaMember}`);
  passed.push("x-request-id", exchange.id);
  addTrace(passed, exchange);
  return passed;
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return true;
  return false;
}

function addTrace(passed: string[], { span, traceparent, headers }: Exchange): void {
  const context = span?.spanContext();
  if (context !== undefined) {
    const flags = context.traceFlags.toString(16).padStart(2, "0");
    passed.push("traceparent", `00-${context.traceId}-${context.spanId}-${flags}`);
  } else if (traceparent !== undefined) passed.push("traceparent", traceparent);
  const { tracestate } = headers;
  // W3C Trace Context section 3.3: without a valid traceparent it says nothing.
  if (traceparent !== undefined && typeof tracestate === "string") {
    passed.push("tracestate", tracestate);
  }
}

/** True for a request that has been here before. */
export function hasPassedHere({ headers }: IncomingMessage): boolean {
  return headers.via?.includes(pseudonym) === true;
}
