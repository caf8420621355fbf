import { durationMs, errorFactory, type ApiForgeError, type Duration } from "../kernel/index.ts";

/** Error codes of calls to providers and of jobs that steer their own retries. */
export const resilienceErrors = {
  /** No connection, or it broke before the whole answer had arrived. */
  provider_unreachable: { type: "provider_error", status: 502, retryable: true },
  /** No complete answer in time. The provider may have acted all the same. */
  provider_timeout: { type: "provider_error", status: 504, retryable: true },
  /** The caller's own signal ended the call, for example at shutdown. */
  provider_call_cancelled: { type: "provider_error", status: 503, retryable: true },
  /** Too many calls for the provider (429). */
  provider_rate_limited: { type: "provider_error", status: 503, retryable: true },
  /** The provider failed (5xx), or asked for a repeat (408, 425). */
  provider_error: { type: "provider_error", status: 502, retryable: true },
  /** The provider understood the call and refused it; the same call will be refused again. */
  provider_rejected: { type: "provider_error", status: 502, retryable: false },
  /** The answer is a redirect, longer than allowed or not HTTP; a repeat would bring the same. */
  provider_answer_invalid: { type: "provider_error", status: 502, retryable: false },
  /** The request could not be made from what it was given, for example its URL. */
  provider_request_invalid: { type: "provider_error", status: 500, retryable: false },
  /** A job's handler says that no retry can help. */
  job_not_retriable: { type: "api_error", status: 500, retryable: false },
  /** A job's handler says when to try again. */
  job_retry_later: { type: "api_error", status: 503, retryable: true },
  /** A job's handler has nothing to do yet. */
  job_snoozed: { type: "api_error", status: 503, retryable: true },
} as const;

/** Makes an error of this room from its code. */
export const resilienceError = errorFactory(resilienceErrors);

/**
 * Thrown by a job's handler to end the job at once: it goes to the dead letters without further
 * attempts. Code `job_not_retriable`.
 */
export function nonRetriable(message: string, details: { cause?: unknown } = {}): ApiForgeError {
  return resilienceError("job_not_retriable", message, details);
}

/**
 * Thrown by a job's handler to be tried again after `delay`, or later if the job's backoff asks for
 * more; it counts as a failed attempt. Whole seconds, rounded up. Code `job_retry_later`.
 * @throws {RangeError} when `delay` is no duration.
 */
export function retryAfter(
  delay: Duration,
  message: string,
  details: { cause?: unknown } = {},
): ApiForgeError {
  const retryAfterSeconds = Math.ceil(durationMs(delay) / 1_000);
  return resilienceError("job_retry_later", message, { ...details, retryAfterSeconds });
}

/**
 * Thrown by a job's handler that has nothing to do yet: the job runs again after `delay`, and this
 * attempt does not count. Code `job_snoozed`.
 * @throws {RangeError} when `delay` is no duration.
 */
export function snooze(delay: Duration, message = "The job has nothing to do yet."): ApiForgeError {
  const retryAfterSeconds = durationMs(delay) / 1_000;
  return resilienceError("job_snoozed", message, { retryAfterSeconds });
}
