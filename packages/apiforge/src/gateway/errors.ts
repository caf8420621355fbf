import { errorFactory } from "../kernel/index.ts";

/** Errors of the gateway room: what became of a request between here and its upstream. */
export const gatewayErrors = {
  upstream_unreachable: { type: "api_error", status: 502, retryable: true },
  upstream_failed: { type: "api_error", status: 502, retryable: true },
  upstream_answer_invalid: { type: "api_error", status: 502, retryable: false },
  upstream_refused: { type: "invalid_request_error", status: 400, retryable: false },
  upstream_outcome_unknown: { type: "api_error", status: 502, retryable: false },
  upstream_overloaded: { type: "api_error", status: 503, retryable: true },
  upstream_timeout: { type: "api_error", status: 504, retryable: true },
  not_cached: { type: "api_error", status: 504, retryable: false },
  loop_detected: { type: "api_error", status: 508, retryable: false },
} as const;

/** Makes an error of the gateway's table. */
export const gatewayError = errorFactory(gatewayErrors);
