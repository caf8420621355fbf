import type { FastifyReply, FastifyRequest } from "fastify";

import { ApiForgeError, type Log } from "../../kernel/index.ts";
import type { Answer } from "../../durable/index.ts";
import { preferredForm, renderFailure, toFailure } from "../problem.ts";

const challenge = 'Bearer realm="apiforge"';

/** The stage that turns whatever was thrown into the one error envelope. */
export function fail(log: Log, isClosing: () => boolean) {
  return function sendFailure(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const failure = toFailure(error);
    if (failure.status >= 500) logFailure(request.exchange?.log ?? log, error, request);
    const form = preferredForm(request.headers.accept);
    reply.code(failure.status);
    reply.header("content-type", `${form}; charset=utf-8`);
    reply.header("cache-control", "no-store");
    // Errors of the router itself come here without having passed the first stage.
    reply.header("x-request-id", request.id);
    if (failure.retryAfterSeconds !== undefined) {
      reply.header("retry-after", String(failure.retryAfterSeconds));
    }
    if (failure.status === 401) {
      reply.header("www-authenticate", authenticateHeader(failure.code, failure.message));
    }
    if (isClosing()) reply.header("connection", "close");
    reply.send(renderFailure(failure, request.id, form));
  };
}

// RFC 6750 section 3: a request without credentials is told the scheme and nothing else; neither is
// one that was to prove itself by other means.
function authenticateHeader(code: string, message: string): string {
  if (code !== "invalid_token" && code !== "token_expired") return challenge;
  return `${challenge}, error="invalid_token", error_description="${message.replaceAll(/["\\]/g, "")}"`;
}

function logFailure(log: Log, error: unknown, request: FastifyRequest): void {
  const retryable = ApiForgeError.is(error) && error.retryable;
  const fields = { err: error, method: request.method, route: request.routeOptions.url };
  if (retryable) log.warn(fields, "request failed; trying again can help");
  else log.error(fields, "request failed");
}

/**
 * The answer of a refusal that a handler threw, to be recorded for replay; undefined for errors
 * that another attempt may not meet again (5xx, 429 and whatever says that it is retryable).
 */
export function refusalAnswer(
  error: unknown,
  requestId: string,
  accept: string | undefined,
): Answer | undefined {
  if (!ApiForgeError.is(error) || error.retryable) return undefined;
  if (error.status < 400 || error.status >= 500 || error.status === 429) return undefined;
  const form = preferredForm(accept);
  const challenged =
    error.status === 401
      ? { "www-authenticate": authenticateHeader(error.code, error.message) }
      : {};
  return {
    status: error.status,
    headers: {
      "content-type": `${form}; charset=utf-8`,
      "cache-control": "no-store",
      ...challenged,
    },
    body: renderFailure(toFailure(error), requestId, form),
  };
}
