import type { IncomingMessage } from "node:http";

import { newId } from "../../kernel/index.ts";
import type { Exchange } from "../exchange.ts";
import type { Steps } from "../stage.ts";

const requestIdPattern = /^[\x21-\x7e]{1,128}$/;
const traceparentPattern =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?=$|-)/;
const traceparentLength = 55;

/** The caller's `X-Request-Id` when it is 1-128 visible ASCII characters, else a new one. */
export function requestId(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && requestIdPattern.test(given) ? given : newId("req");
}

/** The stage that ties a request to its id and trace and puts the id on the answer. */
export function correlate(): Steps {
  return { enter: correlateExchange };
}

function correlateExchange(exchange: Exchange): void {
  exchange.traceparent = parseTraceparent(exchange.headers["traceparent"]);
  exchange.putHeader("x-request-id", exchange.id);
}

/**
 * A `traceparent` that W3C Trace Context Level 1 section 3.2 accepts, cut to the fields of
 * version 00; undefined for any other, as the specification asks.
 */
export function parseTraceparent(
  header: string | readonly string[] | undefined,
): string | undefined {
  if (typeof header !== "string" || !traceparentPattern.test(header)) return undefined;
  if (header.startsWith("00") && header.length !== traceparentLength) return undefined;
  return header.slice(0, traceparentLength);
}
