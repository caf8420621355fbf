import { errorFactory } from "../kernel/index.ts";

/** Errors of the durable room. */
export const durableErrors = {
  event_invalid: { type: "api_error", status: 500, retryable: false },
  job_input_invalid: { type: "api_error", status: 500, retryable: false },
  payload_too_large: { type: "invalid_request_error", status: 413, retryable: false },
  job_lease_lost: { type: "api_error", status: 500, retryable: false },
  job_completed_twice: { type: "api_error", status: 500, retryable: false },
  schedule_unknown: { type: "not_found_error", status: 404, retryable: false },
  batch_empty: { type: "invalid_request_error", status: 400, retryable: false },
  batch_too_large: { type: "invalid_request_error", status: 400, retryable: false },
  batch_item_invalid: { type: "invalid_request_error", status: 400, retryable: false },
  batch_item_too_large: { type: "invalid_request_error", status: 400, retryable: false },
  batch_item_timeout: { type: "api_error", status: 500, retryable: true },
  batch_result_too_large: { type: "api_error", status: 500, retryable: false },
  batch_cancelled: { type: "api_error", status: 500, retryable: false },
  batch_lost: { type: "api_error", status: 500, retryable: true },
  job_timeout: { type: "api_error", status: 500, retryable: true },
  job_cancelled: { type: "conflict_error", status: 409, retryable: false },
  deadline_exceeded: { type: "api_error", status: 504, retryable: false },
} as const;

export const durableError = errorFactory(durableErrors);
