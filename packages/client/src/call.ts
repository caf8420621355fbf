import { ApiError, answerInvalid } from "./api-error.ts";
import { exchange, type OpenAnswer, type Outgoing } from "./exchange.ts";
import { newIdempotencyKey } from "./idempotency-key.ts";
import { withRetries } from "./retry.ts";
import type { Settings } from "./settings.ts";
import { buildUrl, type Query } from "./url.ts";

/** What a call may be given besides its method and URL. */
export interface RequestOptions {
  /** Fills the `:name` segments of the path. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  readonly query?: Query | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /**
   * For writes. Default: a new key per call, the same for all of its attempts. Null sends none, for
   * routes that take none; such a write is attempted once.
   */
  readonly idempotencyKey?: string | null | undefined;
  /** Sent beside the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends the call, its waits included; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A successful answer. */
export interface Answer<Body = unknown> {
  readonly status: number;
  /** Undefined when the answer has none. */
  readonly body: Body;
  readonly headers: Headers;
  readonly requestId: string | undefined;
  /** True when the server had executed the write before and repeats its answer. */
  readonly isReplay: boolean;
}

/**
 * Makes one call, with as many attempts as it takes and the settings allow.
 * @throws {ApiError} when it fails, with the idempotency key that it was sent under.
 */
export async function call(
  settings: Settings,
  method: string,
  path: string,
  options: RequestOptions,
): Promise<Answer> {
  const isWrite = method !== "GET";
  const key = isWrite ? (options.idempotencyKey ?? generatedKey(options)) : undefined;
  const outgoing = outgoingOf(settings, method, path, options, {
    accept: "application/json",
    ...(key === undefined ? {} : { "idempotency-key": key }),
  });
  // Without a key nobody can tell whether the attempt that got no answer took effect.
  const attempts = isWrite && key === undefined ? 1 : settings.attempts;
  try {
    return await withRetries(settings, attempts, options.signal, () =>
      exchange(settings, outgoing, readAnswer),
    );
  } catch (error) {
    if (error instanceof ApiError) error.idempotencyKey = key;
    throw error;
  }
}

function generatedKey({ idempotencyKey }: RequestOptions): string | undefined {
  return idempotencyKey === null ? undefined : newIdempotencyKey();
}

/** The request of a call with these headers of the client's own. */
export function outgoingOf(
  settings: Settings,
  method: string,
  path: string,
  options: RequestOptions,
  headers: Readonly<Record<string, string>>,
): Outgoing {
  const { params, query, body, signal } = options;
  return {
    method,
    url: buildUrl(settings.baseUrl, path, params, query),
    headers: {
      ...headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
  };
}

async function readAnswer({ response, watchdog }: OpenAnswer): Promise<Answer> {
  const text = await response.text();
  watchdog.rest();
  return {
    status: response.status,
    body: text === "" ? undefined : parseBody(text, response),
    headers: response.headers,
    requestId: response.headers.get("x-request-id") ?? undefined,
    isReplay: response.headers.get("idempotent-replayed") === "true",
  };
}

function parseBody(text: string, response: Response): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw answerInvalid("The answer is not JSON", response, error);
  }
}
