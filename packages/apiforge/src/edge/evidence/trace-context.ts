import type { SpanContext } from "@opentelemetry/api";
import type { IncomingHttpHeaders } from "node:http";

import { CallersState } from "./callers-state.ts";

const maxMembers = 32;
// W3C Trace Context level 2, section 3.3.1: a key, "=", and 1-256 visible characters without "," and "=".
const member =
  /^[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
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
    ...(state === undefined ? {} : { traceState: new CallersState(state) }),
  };
}

/**
 * The members of `tracestate` headers by key, in order; undefined for none and for ones against the
 * rules. Of two members with one key the first counts, which was written last.
 */
function tracestate(
  header: string | readonly string[] | undefined,
): ReadonlyMap<string, string> | undefined {
  if (header === undefined) return undefined;
  const texts = [header]
    .flat()
    .flatMap((line) => line.split(","))
    .map((text) => text.replaceAll(/^[ \t]+|[ \t]+$/g, ""))
    .filter((text) => text !== "");
  const isValid =
    texts.length > 0 && texts.length <= maxMembers && texts.every((text) => member.test(text));
  if (!isValid) return undefined;
  const members = new Map<string, string>();
  for (const text of texts) {
    const at = text.indexOf("=");
    const key = text.slice(0, at);
    if (!members.has(key)) members.set(key, text.slice(at + 1));
  }
  return members;
}
