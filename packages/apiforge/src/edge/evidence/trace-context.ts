import { createTraceState, type SpanContext } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http";

const maxMembers = 32;
// W3C Trace Context section 3.3.1: a key, "=", and 1-256 visible characters without "," and "=".
const member =
  /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const sampledAndRandom = 0x03;
const sampled = 0x01;

/**
 * The caller's span, from a `traceparent` that is valid and the `tracestate` beside it. A state that
 * breaks a rule is dropped; the trace goes on without it.
 */
export function callersSpan(traceparent: string, headers: IncomingHttpHeaders): SpanContext {
  // Of a later version only the sampled flag is known to mean what it does.
  const known = traceparent.startsWith("00") ? sampledAndRandom : sampled;
  const state = tracestate(headers["tracestate"]);
  return {
    traceId: traceparent.slice(3, 35),
    spanId: traceparent.slice(36, 52),
    traceFlags: Number.parseInt(traceparent.slice(53, 55), 16) & known,
    isRemote: true,
    ...(state === undefined ? {} : { traceState: createTraceState(state) }),
  };
}

/** The members of `tracestate` headers, in order; undefined for none and for ones against the rules. */
export function tracestate(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const members = [header]
    .flat()
    .flatMap((line) => line.split(","))
    .map((text) => text.replaceAll(/^[ \t]+|[ \t]+$/g, ""))
    .filter((text) => text !== "");
  const keys = new Set(members.map((text) => text.slice(0, text.indexOf("="))));
  const isValid =
    members.length > 0 &&
    members.length <= maxMembers &&
    keys.size === members.length &&
    members.every((text) => member.test(text));
  return isValid ? members.join(",") : undefined;
}
