/** What an {@link ApiError} is made of. */
export interface ApiErrorFacts {
  readonly type: string;
  readonly code: string;
  readonly message: string;
  readonly status?: number | undefined;
  readonly param?: string | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/**
 * Every failure of a call but the caller's own abort. Branch on `code`: codes of the API are listed
 * in its error reference; the client's own are `connection_failed`, `timeout` and `answer_invalid`,
 * of type `connection_error`.
 */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** Kind of failure, such as `rate_limit_error`. */
  readonly type: string;
  /** Stable word for what happened, such as `slot_unavailable`. */
  readonly code: string;
  /** HTTP status; undefined when no answer arrived. */
  readonly status: number | undefined;
  /** The field that is wrong, such as `body.email`. */
  readonly param: string | undefined;
  /** Quote it to the API's operator. */
  readonly requestId: string | undefined;
  /** What `Retry-After` asked for. */
  readonly retryAfterMs: number | undefined;
  /**
   * The key that the write was sent under. When the outcome is unknown (no {@link isRefusal}), send
   * the same request with this key again: it takes effect once at most.
   */
  idempotencyKey: string | undefined;

  constructor(facts: ApiErrorFacts) {
    super(facts.message, { cause: facts.cause });
    this.type = facts.type;
    this.code = facts.code;
    this.status = facts.status;
    this.param = facts.param;
    this.requestId = facts.requestId;
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** The server decided against the request (4xx), so that the same key would meet the same answer. */
  get isRefusal(): boolean {
    return this.status !== undefined && this.status < 500 && !isRetryable(this);
  }
}

/** An {@link ApiError} for an exchange that broke: without a status, trying again can help. */
export function connectionError(
  code: "connection_failed" | "timeout",
  message: string,
  cause?: unknown,
): ApiError {
  return new ApiError({ type: "connection_error", code, message, cause });
}

/** An {@link ApiError} for an answer that cannot be read; asking again would not change it. */
export function answerInvalid(
  message: string,
  response: Pick<Response, "status" | "headers">,
  cause?: unknown,
): ApiError {
  return new ApiError({
    type: "connection_error",
    code: "answer_invalid",
    message,
    status: response.status,
    requestId: response.headers.get("x-request-id") ?? undefined,
    cause,
  });
}

// 500 is left out: it is the one status that says nothing about whether trying again can help.
const retryableStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Whether the same request, under the same key, may be answered otherwise a moment later. */
export function isRetryable({ status, code }: ApiError): boolean {
  if (status === undefined || code === "idempotency_in_progress") return true;
  return retryableStatuses.has(status) && code !== "answer_invalid";
}
