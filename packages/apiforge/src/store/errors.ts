import { errorFactory, type ApiForgeError } from "../kernel/index.ts";

/** Errors of the store room. */
export const storeErrors = {
  store_unavailable: { type: "api_error", status: 503, retryable: true },
  store_locked: { type: "api_error", status: 500, retryable: false },
  store_misconfigured: { type: "api_error", status: 500, retryable: false },
  store_query_failed: { type: "api_error", status: 500, retryable: false },
  unique_violation: { type: "conflict_error", status: 409, retryable: false },
  transaction_timeout: { type: "api_error", status: 500, retryable: true },
  transaction_closed: { type: "api_error", status: 500, retryable: false },
  transaction_conflict: { type: "api_error", status: 503, retryable: true },
  commit_outcome_unknown: { type: "api_error", status: 503, retryable: true },
  idempotency_key_taken: { type: "idempotency_error", status: 409, retryable: true },
  job_duplicate: { type: "conflict_error", status: 409, retryable: false },
  events_swept: { type: "not_found_error", status: 410, retryable: false },
  migration_changed: { type: "api_error", status: 500, retryable: false },
} as const;

export const storeError = errorFactory(storeErrors);

/** What a reader of the log has not seen before it was deleted. */
export function eventsSwept(after: number, floor: number): ApiForgeError {
  return storeError(
    "events_swept",
    `Events after ${after} were deleted when they were older than the log's retention. Begin after ${floor}, and make anew what was derived from them.`,
  );
}

/** What a unique constraint of the application refused. Nothing else of the transaction can be kept. */
export function uniqueViolation(cause: unknown): ApiForgeError {
  return storeError("unique_violation", "This exists already.", { cause });
}
