import type { Answer } from "../../durable/index.ts";
import { ApiForgeError } from "../../kernel/index.ts";
import { changedFailure, reportUnexpected, type ErrorHooks } from "../evidence/error-hooks.ts";
import type { Exchange } from "../exchange.ts";
import { grpcRefusal } from "../grpc/refusal.ts";
import { plainAnswer, type Outgoing } from "../outgoing.ts";
import { preferredForm, renderFailure, toFailure } from "../problem.ts";

const challenge = 'Bearer realm="apiforge"';

const refusedCredential: ReadonlySet<string> = new Set([
  "invalid_token",
  "token_expired",
  "invalid_api_key",
  "api_key_expired",
]);

/** The stage that turns whatever was thrown into the one error envelope. */
export function failureAnswer(error: unknown, exchange: Exchange, hooks: ErrorHooks): Outgoing {
  const failure = changedFailure(toFailure(error), exchange, hooks);
  exchange.failureCode = failure.code;
  if (failure.status >= 500) {
    logFailure(error, exchange);
    reportUnexpected(error, exchange, hooks);
  }
  const ofGrpc = grpcRefusal(failure, ApiForgeError.is(error) && error.retryable, exchange);
  if (ofGrpc !== undefined) {
    // A call of one message by Connect alone has a status of HTTP.
    if (ofGrpc.answer.status === 401) {
      exchange.putHeader("www-authenticate", authenticateHeader(failure.code, failure.message));
    }
    return ofGrpc;
  }
  const form = preferredForm(exchange.headers.accept);
  const headers: Record<string, string> = {
    "content-type": `${form}; charset=utf-8`,
    "cache-control": "no-store",
    // What failed before the first stage has none yet.
    "x-request-id": exchange.id,
  };
  if (failure.retryAfterSeconds !== undefined) {
    headers["retry-after"] = String(failure.retryAfterSeconds);
  }
  if (failure.status === 401) {
    headers["www-authenticate"] = authenticateHeader(failure.code, failure.message);
  }
  return plainAnswer(failure.status, headers, renderFailure(failure, exchange.id, form));
}

// RFC 6750 section 3: a request without credentials is told the scheme and nothing else; neither is
// one that was to prove itself by other means.
function authenticateHeader(code: string, message: string): string {
  if (!refusedCredential.has(code)) return challenge;
  return `${challenge}, error="invalid_token", error_description="${message.replaceAll(/["\\]/g, "")}"`;
}

function logFailure(error: unknown, { log, request }: Exchange): void {
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
  exchange: Exchange,
  hooks: ErrorHooks,
): Answer | undefined {
  if (!ApiForgeError.is(error) || error.retryable) return undefined;
  if (error.status < 400 || error.status >= 500 || error.status === 429) return undefined;
  exchange.failureCode = error.code;
  const form = preferredForm(exchange.headers.accept);
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
    body: renderFailure(changedFailure(toFailure(error), exchange, hooks), exchange.id, form),
  };
}
