import { ApiError } from "./api-error.ts";
import { parseRetryAfterMs } from "./retry-after.ts";

interface Envelope {
  readonly type?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly param?: unknown;
  readonly requestId?: unknown;
}

/**
 * The {@link ApiError} of an answer that is no success, whose body is `text`. An answer without the
 * API's envelope, as proxies send them, has the code `http_<status>`.
 */
export function errorOfAnswer(response: Response, text: string, nowMs: number): ApiError {
  const { status, headers } = response;
  const { type, code, message, param, requestId } = envelopeOf(text);
  return new ApiError({
    type: stringOf(type) ?? "api_error",
    code: stringOf(code) ?? `http_${status}`,
    message: stringOf(message) ?? `The server answered with status ${status}`,
    status,
    param: stringOf(param),
    requestId: stringOf(requestId) ?? headers.get("x-request-id") ?? undefined,
    retryAfterMs: parseRetryAfterMs(headers.get("retry-after"), nowMs),
  });
}

function envelopeOf(text: string): Envelope {
  try {
    const { error } = JSON.parse(text) as { error?: Envelope | null };
    return error ?? {};
  } catch {
    return {};
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
