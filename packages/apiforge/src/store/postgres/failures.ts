import { ApiForgeError } from "../../kernel/index.ts";
import { storeError, uniqueViolation } from "../errors.ts";

// SQLSTATE: postgresql.org/docs/current/errcodes-appendix.html
const serializationFailure = "40001";
const deadlockDetected = "40P01";
const uniqueViolationState = "23505";
const readOnlyTransaction = "25006";
const queryCanceled = "57014";
const featureNotSupported = "0A000";
const unknownStatement = "26000";

/** The server could not do it, whatever the statement was: connection, resources, shutdown, I/O. */
const unavailableClasses = new Set(["08", "53", "57", "58"]);
/** After these the session is over, or nothing it says can be relied on. */
const endingClasses = new Set(["08", "58", "XX"]);
const endingCodes = new Set(["25P03", "25P04", "57P01", "57P02", "57P03", "57P05"]);

/** What is known about a failed call beside its error. */
export interface FailureContext {
  /** True when the connection broke, so that errors without a SQLSTATE are not the caller's. */
  readonly connectionLost: boolean;
}

/** What a failed PostgreSQL call means to its caller; errors that are not PostgreSQL's pass unchanged. */
export function postgresFailure<E>(
  error: E,
  { connectionLost }: FailureContext,
): E | ApiForgeError {
  if (ApiForgeError.is(error)) return error;
  const code = sqlState(error);
  if (code === undefined) return connectionLost ? unavailable(error) : error;
  const constraint = ourConstraint(error, code);
  if (constraint !== undefined) return constraint;
  if (isConflict(error, code)) {
    return storeError("transaction_conflict", "Another transaction was in the way. Try again.", {
      cause: error,
      retryAfterSeconds: 1,
    });
  }
  if (connectionLost || isUnavailable(code)) return unavailable(error);
  if (code === uniqueViolationState) return uniqueViolation(error);
  return storeError(
    "store_query_failed",
    "A database statement failed, and PostgreSQL ends its transaction with it: throw to answer.",
    { cause: error },
  );
}

/** True when the server ends the session with this error, or the session cannot be trusted after it. */
export function endsSession(error: unknown): boolean {
  const code = sqlState(error);
  if (code === undefined) return false;
  const severity = error instanceof Error && "severity" in error ? error.severity : undefined;
  if (severity === "FATAL" || severity === "PANIC") return true;
  return endingCodes.has(code) || endingClasses.has(code.slice(0, 2));
}

/** What a write inside of a read means: the handler's mistake, not the server's state. */
export function readOnlyFailure(error: unknown): ApiForgeError | undefined {
  if (!ApiForgeError.is(error) || sqlState(error.cause) !== readOnlyTransaction) return undefined;
  return storeError("store_query_failed", "A read cannot write. Use a transaction.", {
    cause: error.cause,
  });
}

/** The database cannot be used right now; nothing happened. */
export function unavailable(cause: unknown): ApiForgeError {
  return storeError(
    "store_unavailable",
    "The database cannot be reached right now. Try again shortly.",
    {
      cause,
      retryAfterSeconds: 1,
    },
  );
}

function isUnavailable(code: string): boolean {
  return (
    unavailableClasses.has(code.slice(0, 2)) ||
    endingCodes.has(code) ||
    // A standby, or a primary that an operator has closed for writes.
    code === readOnlyTransaction ||
    code === queryCanceled
  );
}

function isConflict(error: unknown, code: string): boolean {
  if (code === serializationFailure || code === deadlockDetected || code === unknownStatement)
    return true;
  // "cached plan must not change result type": a migration ran beside us; the next try prepares anew.
  return code === featureNotSupported && routineOf(error) === "RevalidateCachedQuery";
}

function ourConstraint(error: unknown, code: string): ApiForgeError | undefined {
  if (code !== uniqueViolationState) return undefined;
  const constraint = error instanceof Error && "constraint" in error ? error.constraint : undefined;
  if (constraint === "forge_idempotency_digest") {
    return storeError(
      "idempotency_key_taken",
      "Another request with this idempotency key was committed first.",
      {
        cause: error,
      },
    );
  }
  if (constraint === "forge_jobs_dedupe") {
    return storeError(
      "job_duplicate",
      "Another job with the same dedupe key waits or runs; retry after it has ended.",
      { cause: error },
    );
  }
  return undefined;
}

function routineOf(error: unknown): unknown {
  return error instanceof Error && "routine" in error ? error.routine : undefined;
}

/** The SQLSTATE of an error that the server sent; errors of Node have codes of other shapes. */
function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("severity" in error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
