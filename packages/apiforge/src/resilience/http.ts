import { context, propagation, type TextMapSetter } from "@opentelemetry/api";

import { ApiForgeError, systemClock, type Clock } from "../kernel/index.ts";
import { inCallSpan } from "./call-span.ts";
import { startDeadline } from "./deadline.ts";
import { resilienceError } from "./errors.ts";
import { parseRetryAfterSeconds } from "./retry-after.ts";

/** Bounds of one call to a provider. */
export interface CallOptions {
  /** The provider's name as people write it, such as `Slack`; it begins error messages. */
  readonly provider: string;
  /** Time for the whole call: connecting, sending, and reading the answer to its end. */
  readonly timeoutMs: number;
  /** Largest answer that is read, counted after content decoding. */
  readonly maxBodyBytes: number;
  /** Default: the machine's clock. */
  readonly clock?: Clock | undefined;
}

/** The parts of `fetch`'s second argument that a call takes. */
export type CallInit = Pick<RequestInit, "method" | "headers" | "body" | "signal">;

/**
 * One HTTP call, made once: whoever calls owns the retries. Any status but a redirect returns a
 * `Response` whose body is already in memory, so reading it cannot fail; {@link answerError} turns
 * a failing one into an error. Made of `fetch`'s shapes, so that a provider's SDK can be given
 * this as its transport.
 *
 * Neither the URL nor a header appears in an error or its cause: both may hold a secret.
 * @throws {ApiForgeError} `provider_unreachable`, `provider_timeout`, `provider_call_cancelled`,
 * `provider_answer_invalid` or `provider_request_invalid`.
 */
export function callProvider(
  url: string | URL,
  init: CallInit,
  options: CallOptions,
): Promise<Response> {
  return inCallSpan(options.provider, init.method ?? "GET", () => call(url, init, options));
}

async function call(url: string | URL, init: CallInit, options: CallOptions): Promise<Response> {
  const { provider, timeoutMs, maxBodyBytes, clock = systemClock } = options;
  using deadline = startDeadline(clock, timeoutMs, init.signal ?? undefined);
  const request = newRequest(url, { ...init, signal: deadline.signal }, provider);
  try {
    const answer = await fetch(request);
    await refuseUnusable(answer, provider);
    return completeAnswer(answer, await readBody(answer, maxBodyBytes, provider));
  } catch (error) {
    if (ApiForgeError.is(error)) throw error;
    if (deadline.expired) {
      throw resilienceError(
        "provider_timeout",
        `${provider} did not answer within ${timeoutMs} ms`,
      );
    }
    if (deadline.signal.aborted) {
      throw resilienceError("provider_call_cancelled", `The call to ${provider} was cancelled`, {
        cause: deadline.signal.reason,
      });
    }
    throw resilienceError("provider_unreachable", unreachable(provider, error), { cause: error });
  }
}

/**
 * The error for a failing answer: 429 is `provider_rate_limited`, 5xx, 408 and 425 are
 * `provider_error`, everything else is `provider_rejected`. The first two carry what `Retry-After`
 * asks for. `reason` is the provider's own word for the failure, shown after the status.
 */
export function answerError(
  answer: { readonly status: number; readonly headers: { get(name: string): string | null } },
  provider: string,
  { reason, clock = systemClock }: { reason?: string | undefined; clock?: Clock | undefined } = {},
): ApiForgeError {
  const { status } = answer;
  const code = codeOf(status);
  const message = `${provider} answered ${status}${reason === undefined ? "" : ` ${reason}`}`;
  if (code === "provider_rejected") return resilienceError(code, message);
  const retryAfterSeconds = parseRetryAfterSeconds(answer.headers.get("retry-after"), clock.now());
  return resilienceError(code, message, { retryAfterSeconds });
}

const headerSetter: TextMapSetter<Headers> = {
  set: (headers, name, value) => headers.set(name, value),
};

function codeOf(status: number) {
  if (status === 429) return "provider_rate_limited";
  // RFC 9110 15.5.9 and RFC 8470 5.2: the request was not processed and may be sent again.
  if (status >= 500 || status === 408 || status === 425) return "provider_error";
  return "provider_rejected";
}

function newRequest(url: string | URL, init: RequestInit, provider: string): Request {
  const target = URL.parse(url);
  if (target === null || !/^https?:$/.test(target.protocol)) {
    const message = `The URL of ${provider} is not an absolute http or https URL`;
    throw resilienceError("provider_request_invalid", message);
  }
  try {
    const request = new Request(target, { ...init, redirect: "manual" });
    // Of the span at work, by the propagator that an OpenTelemetry SDK has registered; else nothing.
    propagation.inject(context.active(), request.headers, headerSetter);
    return request;
  } catch {
    // A URL with a user name, or a header of two lines. The platform's message quotes what it
    // refuses, so it is not kept as a cause.
    const message = `The request to ${provider} cannot be made; check its URL, method and headers`;
    throw resilienceError("provider_request_invalid", message);
  }
}

async function refuseUnusable(answer: Response, provider: string): Promise<void> {
  const { status } = answer;
  const redirect = [301, 302, 303, 307, 308].includes(status);
  // HTTP defines no status above 599, and a Response cannot be made with one.
  if (!redirect && status <= 599) return;
  await answer.body?.cancel();
  const fault = redirect ? `a redirect (${status}), which is not followed` : `status ${status}`;
  throw resilienceError("provider_answer_invalid", `${provider} answered with ${fault}`);
}

async function readBody(answer: Response, maxBodyBytes: number, provider: string) {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  // Leaving the loop early cancels the stream, and with it the connection.
  for await (const chunk of answer.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBodyBytes) {
      const message = `${provider} answered with more than ${maxBodyBytes} bytes`;
      throw resilienceError("provider_answer_invalid", message);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function completeAnswer(answer: Response, body: Uint8Array<ArrayBuffer>): Response {
  const { status, statusText, headers } = answer;
  // A Response of these statuses may not be made with a body (Fetch standard, null body status).
  const allowed = [204, 205, 304].includes(status) ? null : body;
  return new Response(allowed, { status, statusText, headers });
}

function unreachable(provider: string, error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const known = typeof code === "string" && /^[A-Z][A-Z0-9_]+$/.test(code);
  return `${provider} could not be reached${known ? ` (${code})` : ""}`;
}
