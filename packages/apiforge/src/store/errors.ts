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
  migration_changed: { type: "api_error", status: 500, retryable: false },
} as const;

export const storeError = errorFactory(storeErrors);

/** What a unique constraint of the application refused. Nothing else of the transaction can be kept. */
export function uniqueViolation(cause: unknown): ApiForgeError {
  return storeError("unique_violation", "This exists already.", { cause });
}
