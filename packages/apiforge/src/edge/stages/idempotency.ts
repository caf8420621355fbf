import { hash } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { configure } from "safe-stable-stringify";

import type { IdempotencyKey } from "../../durable/index.ts";
import { BatchBody } from "../body/batch-body.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";
import type { Steps } from "../stage.ts";

const headerNames = ["idempotency-key", "x-idempotency-key"] as const;
const barePattern = /^[\x21-\x7e]{1,255}$/;
// A String of RFC 9651 section 3.3.3.
const quotedPattern = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const digestBytes = 16;

// Equal content gives equal text, whatever the order of keys. Depth was limited when it was parsed.
const canonicalJson = configure({ deterministic: true, circularValue: Error });

/**
 * The stage that reads the idempotency key of a writing request, with what it is scoped to and
 * compared by. A request may have none where none is required.
 * It throws `idempotency_key_required` and `invalid_idempotency_key`.
 */
export function idempotency(route: Route | undefined): Steps | undefined {
  if (route === undefined || route.idempotency === "none") return undefined;
  return {
    enter(exchange) {
      exchange.idempotencyKey = readKey(route, exchange);
    },
  };
}

function readKey(
  route: Route,
  { request, principal, asked }: Exchange,
): IdempotencyKey | undefined {
  if (route.auth === "optional" && principal === undefined) return undefined;
  const key = readHeader(request);
  if (key === undefined) {
    if (route.idempotency === "optional") return undefined;
    throw edgeError(
      "idempotency_key_required",
      "Send an Idempotency-Key header; reuse it only to retry this same request",
    );
  }
  const { method, path } = route;
  return {
    key,
    digest: digest(JSON.stringify([principal?.tenant, principal?.subject, method, path, key])),
    fingerprint: digest(
      canonicalJson([
        method,
        path,
        request.params,
        request.query,
        // A body that is taken in as it arrives adds its items later.
        route.body instanceof BatchBody ? null : contentOf(request),
        // The recorded answer has these fields only.
        ...(asked === undefined ? [] : [asked.text]),
        ...(route.version === undefined ? [] : [{ version: route.version }]),
      ]) ?? "",
    ),
  };
}

/** Bytes that nobody has read are told apart by their hash, and by what they are said to be. */
function contentOf({ body, headers }: FastifyRequest): unknown {
  if (!Buffer.isBuffer(body)) return body;
  return { bytes: hash("sha256", body, "base64url"), type: headers["content-type"] ?? "" };
}

/**
 * The key of `Idempotency-Key` or its alias: draft-ietf-httpapi-idempotency-key-header-07 quotes
 * it, most clients send it bare. 1-255 visible ASCII characters.
 */
function readHeader(request: FastifyRequest): string | undefined {
  let key: string | undefined;
  for (const name of headerNames) {
    const header = request.headers[name];
    if (header === undefined) continue;
    // Node joins a header that was sent twice with ", ", which no key contains.
    const parsed = typeof header === "string" ? parseKey(header) : undefined;
    if (parsed === undefined || (key !== undefined && key !== parsed)) {
      throw edgeError(
        "invalid_idempotency_key",
        "Send one idempotency key of 1 to 255 visible ASCII characters, bare or in double quotes",
      );
    }
    key = parsed;
  }
  return key;
}

/** The key that a header's text stands for, or undefined when it is none. */
function parseKey(header: string): string | undefined {
  const bare = header.startsWith('"')
    ? quotedPattern.exec(header)?.[1]?.replaceAll(/\\(["\\])/g, "$1")
    : header;
  return bare !== undefined && barePattern.test(bare) ? bare : undefined;
}

// Of JSON, which frames the parts: no two lists of parts have the same text.
function digest(json: string): Buffer {
  // As text: a buffer of its own for each would cost three times as much as the hash.
  return Buffer.from(hash("sha256", json, "latin1").slice(0, digestBytes), "latin1");
}
