/** The error types of the public envelope; clients branch on these. */
export type ErrorType =
  | "invalid_request_error"
  | "authentication_error"
  | "permission_error"
  | "not_found_error"
  | "conflict_error"
  | "idempotency_error"
  | "rate_limit_error"
  | "payment_error"
  | "provider_error"
  | "api_error";

/** One row of a room's error table: what the code means on the wire and whether trying again can help. */
export interface ErrorDefinition {
  readonly type: ErrorType;
  /** HTTP status that the edge answers with when the error reaches it. */
  readonly status: number;
  /** True when the same call may succeed later without being changed. */
  readonly retryable: boolean;
}

/** What an {@link ApiForgeError} may carry besides its code and message. */
export interface ErrorDetails {
  /** Request field at fault, as a path such as `body.name`. */
  readonly param?: string | undefined;
  /** Seconds after which trying again makes sense; becomes `Retry-After`. */
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for("apiforge.error");

/**
 * Base of every error that APIForge throws on purpose. `code` is stable and documented in
 * `docs/reference/errors.md`; `message` is safe to show to the caller of the API: it never carries
 * SQL, a stack, a host name or a secret.
 */
export class ApiForgeError extends Error {
  readonly code: string;
  readonly type: ErrorType;
  readonly status: number;
  readonly retryable: boolean;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: string,
    definition: ErrorDefinition,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.type = definition.type;
    this.status = definition.status;
    this.retryable = definition.retryable;
    this.param = details.param;
    this.retryAfterSeconds = details.retryAfterSeconds;
    Object.defineProperty(this, brand, { value: true });
  }

  /** True for errors of any loaded copy of this package, where `instanceof` would say no. */
  static is(value: unknown): value is ApiForgeError {
    return typeof value === "object" && value !== null && brand in value;
  }
}

/**
 * Makes the constructor function of one room's errors from its table, so that a code exists only
 * together with its type, status and retryability.
 */
export function errorFactory<Table extends Readonly<Record<string, ErrorDefinition>>>(
  table: Table,
) {
  return function createError(
    code: keyof Table & string,
    message: string,
    details?: ErrorDetails,
  ): ApiForgeError {
    const definition = table[code];
    if (definition === undefined)
      throw new TypeError(`Error code ${code} is not in its room's table`);
    return new ApiForgeError(code, definition, message, details);
  };
}
