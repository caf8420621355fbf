import { ApiForgeError, type ErrorType } from "../kernel/index.ts";
import { gatewayError, gatewayErrors } from "./errors.ts";
import { valueOf, type RawFields } from "./headers/raw-fields.ts";

const typeOf: Readonly<Record<number, ErrorType>> = {
  402: "payment_error",
  403: "permission_error",
  404: "not_found_error",
  409: "conflict_error",
  410: "not_found_error",
  412: "conflict_error",
  429: "rate_limit_error",
};
// The upstream does not know who asks: that is between it and this gateway.
const ofGateway: ReadonlySet<number> = new Set([401, 407]);
const maxRetryAfterSeconds = 3_600;

/**
 * What the caller is told in the place of an upstream's answer. Nothing of it leaves but a status 4xx
 * and how long to wait.
 * @param isRepeatable asking again does no harm.
 */
export function replacement(
  status: number,
  fields: RawFields,
  isRepeatable: boolean,
): ApiForgeError {
  const cause = new Error(`The upstream answered ${status}`);
  const retryAfterSeconds = waitOf(fields);
  if (status < 400) return answerInvalid(cause);
  if (status === 503) {
    const message = "The service behind this route takes no more now";
    return gatewayError("upstream_overloaded", message, {
      retryAfterSeconds: retryAfterSeconds ?? 1,
      cause,
    });
  }
  if (status < 500 && !ofGateway.has(status)) {
    const { upstream_refused: row } = gatewayErrors;
    const facts = { type: typeOf[status] ?? row.type, status, retryable: status === 429 };
    const message = "The service behind this route refuses this request";
    return new ApiForgeError("upstream_refused", facts, message, { retryAfterSeconds, cause });
  }
  return isRepeatable || status < 500
    ? gatewayError("upstream_failed", "The service behind this route failed", { cause })
    : gatewayError(
        "upstream_outcome_unknown",
        "The service behind this route failed; it may have done what you asked. Look before you send it again",
        { cause },
      );
}

/** The error of an answer that the route has no use for. */
export function answerInvalid(cause: unknown): ApiForgeError {
  return gatewayError(
    "upstream_answer_invalid",
    "The service behind this route answered what the route does not declare; what you asked for may have been done",
    { cause },
  );
}

function waitOf(fields: RawFields): number | undefined {
  const value = valueOf(fields, "retry-after");
  return /^\d{1,6}$/.test(value) ? Math.min(Number(value), maxRetryAfterSeconds) : undefined;
}
