import { ApiForgeError, type ErrorType } from "../kernel/index.ts";
import { edgeError } from "./errors.ts";
import { STATUS_CODES } from "./node-http.ts";

/** What a caller is told about a failure; the same facts in both forms. */
export interface Failure {
  readonly status: number;
  readonly type: ErrorType;
  readonly code: string;
  readonly message: string;
  readonly param: string | undefined;
  readonly retryAfterSeconds: number | undefined;
}

/** The forms that an error can be asked for in. */
export type FailureForm = "application/json" | "application/problem+json";

const retryAfterSeconds = 1;

// Codes of Fastify's own errors (fastify docs/Reference/Errors.md) in the words of our table.
const frameworkErrors: Readonly<Record<string, () => ApiForgeError>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () =>
    edgeError("body_too_large", "The body is larger than this route accepts"),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: unsupportedMediaType,
  FST_ERR_CTP_EMPTY_TYPE: unsupportedMediaType,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    edgeError("malformed_request", "The body is not as long as Content-Length says"),
  FST_ERR_BAD_URL: () => edgeError("invalid_url", "The path is not valid percent-encoded UTF-8"),
  FST_ERR_MAX_PARAM_LENGTH: () => edgeError("uri_too_long", "A segment of the path is too long"),
};

function unsupportedMediaType(): ApiForgeError {
  return edgeError("unsupported_media_type", "Send the body as application/json");
}

/**
 * What the caller is told about `error`. Errors made on purpose speak for themselves below
 * status 500 and when trying again can help (502-504); of all others only the request id leaves.
 */
export function toFailure(error: unknown): Failure {
  const known = toKnownError(error);
  const { status, type, code, message, param } = known;
  return { status, type, code, message, param, retryAfterSeconds: retryAfter(known) };
}

function toKnownError(error: unknown): ApiForgeError {
  if (ApiForgeError.is(error) && error.status !== 500) return error;
  const framework = frameworkErrors[codeOf(error)];
  if (framework !== undefined) return framework();
  if (isClientAbort(error))
    return edgeError("malformed_request", "The request ended before it was complete");
  return edgeError(
    "internal_error",
    "Something went wrong on our side. Quote the request id when you report it.",
  );
}

function retryAfter(error: ApiForgeError): number | undefined {
  if (error.retryAfterSeconds !== undefined) return Math.max(0, Math.ceil(error.retryAfterSeconds));
  return error.status === 503 || error.status === 429 ? retryAfterSeconds : undefined;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

// Node's error for a socket that closed while its body was read; nobody is left to read the answer.
function isClientAbort(error: unknown): boolean {
  return codeOf(error) === "ECONNRESET" && error instanceof Error && error.message === "aborted";
}

/** The body of a failure in the form that was asked for. */
export function renderFailure(
  failure: Failure & { readonly fields?: Readonly<Record<string, unknown>> | undefined },
  requestId: string,
  form: FailureForm,
): string {
  const { type, code, message, param, status, fields } = failure;
  if (form === "application/json") {
    return JSON.stringify({ error: { ...fields, type, code, message, param, requestId } });
  }
  // RFC 9457: `type` names the kind of problem, `instance` this occurrence.
  return JSON.stringify({
    ...fields,
    type: `urn:apiforge:error:${code}`,
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: message,
    instance: `urn:apiforge:request:${requestId}`,
    code,
    errorType: type,
    param,
    requestId,
  });
}

/** `application/problem+json` when `accept` names it with a higher weight than plain JSON. */
export function preferredForm(accept: string | undefined): FailureForm {
  if (accept === undefined || !/problem\+json/i.test(accept)) return "application/json";
  let problem = 0;
  let json = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [mediaType = "", ...parameters] = range.split(";").map((part) => part.trim());
    if (mediaType === "application/problem+json") problem = weight(parameters);
    if (mediaType === "application/json") json = weight(parameters);
  }
  return problem > 0 && problem >= json ? "application/problem+json" : "application/json";
}

function weight(parameters: readonly string[]): number {
  const q = parameters.find((parameter) => parameter.startsWith("q="));
  if (q === undefined) return 1;
  const value = Number(q.slice(2));
  return value >= 0 && value <= 1 ? value : 0;
}
