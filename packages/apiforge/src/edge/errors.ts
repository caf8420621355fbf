import { ApiForgeError, errorFactory } from "../kernel/index.ts";

/** Errors of the edge room: what a caller can be told about a request. */
export const edgeErrors = {
  malformed_request: { type: "invalid_request_error", status: 400, retryable: false },
  invalid_url: { type: "invalid_request_error", status: 400, retryable: false },
  invalid_json: { type: "invalid_request_error", status: 400, retryable: false },
  json_too_deep: { type: "invalid_request_error", status: 400, retryable: false },
  duplicate_json_key: { type: "invalid_request_error", status: 400, retryable: false },
  forbidden_json_key: { type: "invalid_request_error", status: 400, retryable: false },
  forbidden_character: { type: "invalid_request_error", status: 400, retryable: false },
  validation_failed: { type: "invalid_request_error", status: 400, retryable: false },
  unknown_version: { type: "invalid_request_error", status: 400, retryable: false },
  unknown_field: { type: "invalid_request_error", status: 400, retryable: false },
  invalid_cursor: { type: "invalid_request_error", status: 400, retryable: false },
  invalid_idempotency_key: { type: "idempotency_error", status: 400, retryable: false },
  idempotency_key_required: { type: "idempotency_error", status: 400, retryable: false },
  idempotency_key_reused: { type: "idempotency_error", status: 422, retryable: false },
  idempotency_in_progress: { type: "idempotency_error", status: 409, retryable: true },
  missing_token: { type: "authentication_error", status: 401, retryable: false },
  invalid_token: { type: "authentication_error", status: 401, retryable: false },
  token_expired: { type: "authentication_error", status: 401, retryable: false },
  missing_certificate: { type: "authentication_error", status: 401, retryable: false },
  invalid_certificate: { type: "authentication_error", status: 401, retryable: false },
  certificate_status_unknown: { type: "api_error", status: 503, retryable: true },
  missing_api_key: { type: "authentication_error", status: 401, retryable: false },
  invalid_api_key: { type: "authentication_error", status: 401, retryable: false },
  api_key_expired: { type: "authentication_error", status: 401, retryable: false },
  issuer_unavailable: { type: "api_error", status: 503, retryable: true },
  insufficient_role: { type: "permission_error", status: 403, retryable: false },
  origin_refused: { type: "permission_error", status: 403, retryable: false },
  key_origin_refused: { type: "permission_error", status: 403, retryable: false },
  key_address_refused: { type: "permission_error", status: 403, retryable: false },
  key_mode_refused: { type: "permission_error", status: 403, retryable: false },
  insufficient_scope: { type: "permission_error", status: 403, retryable: false },
  forbidden: { type: "permission_error", status: 403, retryable: false },
  not_found: { type: "not_found_error", status: 404, retryable: false },
  route_not_found: { type: "not_found_error", status: 404, retryable: false },
  method_not_allowed: { type: "invalid_request_error", status: 405, retryable: false },
  not_acceptable: { type: "invalid_request_error", status: 406, retryable: false },
  version_sunset: { type: "invalid_request_error", status: 410, retryable: false },
  request_timeout: { type: "invalid_request_error", status: 408, retryable: true },
  precondition_failed: { type: "invalid_request_error", status: 412, retryable: false },
  precondition_required: { type: "invalid_request_error", status: 428, retryable: false },
  body_too_large: { type: "invalid_request_error", status: 413, retryable: false },
  uri_too_long: { type: "invalid_request_error", status: 414, retryable: false },
  unsupported_media_type: { type: "invalid_request_error", status: 415, retryable: false },
  expectation_failed: { type: "invalid_request_error", status: 417, retryable: false },
  headers_too_large: { type: "invalid_request_error", status: 431, retryable: false },
  too_many_connections: { type: "rate_limit_error", status: 429, retryable: true },
  rate_limited: { type: "rate_limit_error", status: 429, retryable: true },
  too_many_in_flight: { type: "rate_limit_error", status: 429, retryable: true },
  limits_unavailable: { type: "api_error", status: 503, retryable: true },
  overloaded: { type: "api_error", status: 503, retryable: true },
  reply_invalid: { type: "api_error", status: 500, retryable: false },
  internal_error: { type: "api_error", status: 500, retryable: true },
} as const;

/** Makes an error of the edge's table. */
export const edgeError = errorFactory(edgeErrors);

/** 400: what was asked makes no sense. `param` names the field, for example `body.email`. */
export function badRequest(code: string, message: string, param?: string): ApiForgeError {
  return new ApiForgeError(code, edgeErrors.validation_failed, message, { param });
}

/** 401: the caller proved nothing of what it claims, for example by a signature. */
export function unauthorized(code: string, message: string): ApiForgeError {
  return new ApiForgeError(code, edgeErrors.invalid_token, message);
}

/** 403 with code `forbidden`: the caller is known and may not do this. */
export function forbidden(message = "Forbidden"): ApiForgeError {
  return edgeError("forbidden", message);
}

/** 404 with code `not_found`: what the path names does not exist for this caller. */
export function notFound(message = "Not found"): ApiForgeError {
  return edgeError("not_found", message);
}

/** 409: the request is sound and the state of what it names does not allow it. */
export function conflict(code: string, message: string, param?: string): ApiForgeError {
  const definition = { type: "conflict_error", status: 409, retryable: false } as const;
  return new ApiForgeError(code, definition, message, { param });
}

/** 422: the request is well formed and breaks a rule of the business. */
export function unprocessable(code: string, message: string, param?: string): ApiForgeError {
  const definition = { type: "invalid_request_error", status: 422, retryable: false } as const;
  return new ApiForgeError(code, definition, message, { param });
}

/** 402: a payment was declined. */
export function paymentRequired(code: string, message: string, param?: string): ApiForgeError {
  const definition = { type: "payment_error", status: 402, retryable: false } as const;
  return new ApiForgeError(code, definition, message, { param });
}
