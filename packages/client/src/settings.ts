import { systemClock, type Clock } from "./clock.ts";

/** Options of `createClient`. */
export interface ClientOptions {
  /** Where the API is, such as `https://api.example.com`; default: the page's own origin. */
  readonly baseUrl?: string;
  /** The bearer token, or what gives it: asked before each attempt, so that it may be renewed. */
  readonly token?: string | (() => string | Promise<string>);
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Attempts per call, the first one included; default 4, at least 1. */
  readonly attempts?: number;
  /**
   * Time for one attempt to be answered, and the longest silence of a stream; default 30 s. For a
   * bound over all attempts, pass `signal: AbortSignal.timeout(ms)` to the call.
   */
  readonly timeoutMs?: number;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Numbers in [0, 1) for the jitter; default `Math.random`. */
  readonly random?: () => number;
}

/** {@link ClientOptions} with their defaults. */
export interface Settings {
  readonly baseUrl: string;
  readonly token: () => string | undefined | Promise<string>;
  readonly headers: Readonly<Record<string, string>>;
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly random: () => number;
}

/** @throws {RangeError} for a number of attempts or a timeout that cannot work. */
export function settingsOf(options: ClientOptions): Settings {
  const { token, attempts = 4, timeoutMs = 30_000 } = options;
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new RangeError(`${attempts} is not a number of attempts; write an integer of at least 1`);
  }
  if (!(timeoutMs > 0)) throw new RangeError(`${timeoutMs} is not a timeout in milliseconds`);
  return {
    baseUrl: (options.baseUrl ?? "").replace(/\/$/, ""),
    token: typeof token === "function" ? token : () => token,
    headers: options.headers ?? {},
    attempts,
    timeoutMs,
    // Browsers refuse to call fetch as a method of anything but the global object.
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}
