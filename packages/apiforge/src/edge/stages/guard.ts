import type { IncomingMessage } from "node:http";

import type { ApiForgeError } from "../../kernel/index.ts";
import { ignoreRestOf } from "../client-error.ts";
import { edgeError } from "../errors.ts";
import type { Exchange } from "../exchange.ts";
import { refusalOfHead } from "../guard/head.ts";
import { isPlain, maxTargetChars, normalTarget } from "../guard/target.ts";
import type { Steps } from "../stage.ts";

/** What refused targets are routed as: no path of any route. */
const nowhere = "*";

/** The URL that is routed, in its one form; no route's for a target that {@link guard} refuses. */
export function routedUrl({ url = "" }: IncomingMessage): string {
  if (url.length <= maxTargetChars && isPlain(url)) return url;
  return normalTarget(url)?.url ?? nowhere;
}

/**
 * The stage that refuses requests whose framing, `Host` or target leaves open what was meant, before
 * anything is decided by them. Their connection is closed: what follows on it is not to be trusted.
 */
export function guard(): Steps {
  return { enter: refuseAmbiguity };
}

/** Fastify leaves there what was sent, and has in `url` what is routed. */
interface Rewritten extends IncomingMessage {
  originalUrl?: string;
}

function refuseAmbiguity(exchange: Exchange): void {
  const raw: Rewritten = exchange.request.raw;
  const { originalUrl = raw.url ?? "" } = raw;
  const refusal =
    refusalOfHead(raw) ??
    // What is routed as it was sent was in its normal form.
    (originalUrl === raw.url ? undefined : refusalOfTarget(originalUrl, raw));
  if (refusal === undefined) return;
  exchange.setHeader("connection", "close");
  ignoreRestOf(raw.socket);
  throw refusal;
}

function refusalOfTarget(target: string, { headers }: IncomingMessage): ApiForgeError | undefined {
  if (target.length > maxTargetChars) {
    return edgeError("uri_too_long", `A URL has at most ${maxTargetChars} characters`);
  }
  const normal = normalTarget(target);
  if (normal === undefined) {
    return edgeError("invalid_url", "The path can be read in more than one way, or not at all");
  }
  const { authority } = normal;
  if (authority === undefined || authority.toLowerCase() === headers.host?.toLowerCase()) {
    return undefined;
  }
  return edgeError("malformed_request", "The host of the target is not that of the Host header");
}
