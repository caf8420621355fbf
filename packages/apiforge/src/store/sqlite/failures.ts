import { ApiForgeError } from "../../kernel/index.ts";
import { storeError, uniqueViolation } from "../errors.ts";

// Primary result codes: sqlite.org/rescode.html
const busy = 5;
const locked = 6;
const readOnly = 8;
const ioError = 10;
const corrupt = 11;
const full = 13;
const cannotOpen = 14;
const notADatabase = 26;
// Extended result codes.
const constraintUnique = 2067;
const constraintPrimaryKey = 1555;
const constraintRowid = 2579;

const uniqueCodes = new Set([constraintUnique, constraintPrimaryKey, constraintRowid]);
const unavailable = new Set([busy, locked, readOnly, ioError, corrupt, full, cannotOpen]);

/** What a failed SQLite call means to its caller; errors that are not SQLite's pass unchanged. */
export function sqliteFailure(error: unknown): unknown {
  if (ApiForgeError.is(error) || !isSqliteError(error)) return error;
  const code = error.errcode & 0xff;
  if (unavailable.has(code)) {
    return storeError(
      "store_unavailable",
      "The database cannot take writes right now. Try again shortly.",
      {
        cause: error,
        retryAfterSeconds: 1,
      },
    );
  }
  if (code === notADatabase) {
    return storeError(
      "store_misconfigured",
      "The database file is not an SQLite database. Restore it from a backup, or set APIFORGE_DATA_DIR to another folder.",
      { cause: error },
    );
  }
  if (isUniqueViolation(error)) return uniqueViolation(error);
  return storeError("store_query_failed", "A database statement failed.", { cause: error });
}

/**
 * {@link sqliteFailure} for statements that may only read: when one of them would write, that is a
 * mistake of its author and no state of the disk.
 */
export function readFailure(error: unknown): unknown {
  // The extended codes of SQLITE_READONLY do speak of the disk.
  if (!isSqliteError(error) || error.errcode !== readOnly) return sqliteFailure(error);
  return storeError("store_query_failed", "A read cannot write. Write inside a transaction.", {
    cause: error,
  });
}

/** True when a row with the same unique value is there already. */
function isUniqueViolation(error: unknown): boolean {
  return isSqliteError(error) && uniqueCodes.has(error.errcode);
}

/** True for failures after which no statement of the same transaction can be trusted. */
export function isFatal(error: unknown): boolean {
  if (!isSqliteError(error)) return false;
  const code = error.errcode & 0xff;
  return code === ioError || code === full || code === corrupt;
}

/** True when the database file is held by another connection. */
export function isBusy(error: unknown): boolean {
  return isSqliteError(error) && (error.errcode & 0xff) === busy;
}

function isSqliteError(error: unknown): error is Error & { errcode: number } {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number";
}

/** The error of a read that is used after its end. */
export function readEnded(): Error {
  return storeError(
    "transaction_closed",
    "The read has ended. Await everything that uses it before the handler returns.",
  );
}
