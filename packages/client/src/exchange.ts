import { ApiError, connectionError } from "./api-error.ts";
import { errorOfAnswer } from "./error-answer.ts";
import type { Settings } from "./settings.ts";
import { Watchdog } from "./watchdog.ts";

/** One request as it goes out. */
export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A successful answer, whose body is still to be read under the watchdog. */
export interface OpenAnswer {
  readonly response: Response;
  readonly watchdog: Watchdog;
}

/**
 * Sends `outgoing` once and hands a successful answer to `read`.
 * @throws {ApiError} for every other answer, none, or one that breaks off.
 * @throws the signal's reason when the caller aborts.
 */
export async function exchange<T>(
  settings: Settings,
  outgoing: Outgoing,
  read: (answer: OpenAnswer) => Promise<T>,
): Promise<T> {
  const { clock, timeoutMs } = settings;
  const { signal } = outgoing;
  signal?.throwIfAborted();
  const headers = await headersOf(settings, outgoing);
  const watchdog = new Watchdog(clock, timeoutMs, signal);
  try {
    const response = await settings.fetch(outgoing.url, {
      method: outgoing.method,
      headers,
      signal: watchdog.signal,
      ...(outgoing.body === undefined ? {} : { body: outgoing.body }),
    });
    if (response.ok) return await read({ response, watchdog });
    throw errorOfAnswer(response, await response.text(), clock.now());
  } catch (error) {
    watchdog.rest();
    throw brokenExchange(error, signal, watchdog);
  }
}

/** What to throw for an `error` of fetch or of reading a body. */
export function brokenExchange(
  error: unknown,
  signal: AbortSignal | undefined,
  watchdog: Watchdog,
): unknown {
  if (error instanceof ApiError) return error;
  if (signal?.aborted === true) return signal.reason;
  if (watchdog.hasBarked) {
    return connectionError("timeout", `Nothing came for ${watchdog.limitMs} ms`, error);
  }
  return connectionError("connection_failed", "The connection could not be made or broke", error);
}

async function headersOf(settings: Settings, outgoing: Outgoing): Promise<Headers> {
  const headers = new Headers(settings.headers);
  const token = await settings.token();
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  for (const [name, value] of Object.entries(outgoing.headers)) headers.set(name, value);
  return headers;
}
