import { durationMs, type Duration } from "../../kernel/index.ts";

/** Options of {@link Tokens}. */
export interface TokensOptions {
  /** `iss` of the tokens: the https address of this deployment. */
  readonly issuer: string;
  /** `aud` of the access tokens. Default the audience that the server is configured to accept. */
  readonly audience?: string;
  /** Life of a user's access token, 1 minute to 1 hour; default 10 minutes. It cannot be taken back before. */
  readonly accessTtl?: Duration;
  /** Life of a service's access token, 1 minute to 1 hour; default 5 minutes. */
  readonly serviceTtl?: Duration;
  /** A session ends when its refresh token was not used for this long; default 30 days. */
  readonly idleTtl?: Duration;
  /** A session ends then, however much it is used; default 180 days. */
  readonly sessionTtl?: Duration;
  /**
   * How long after its exchange a refresh token may be presented once more and gets the same successor,
   * so that an answer that was lost logs nobody out; at most 2 minutes, default 30 s. It holds only
   * while the successor has not been used.
   */
  readonly retryGrace?: Duration;
  /** Each key signs for this long, 1 day or more; default 30 days. */
  readonly keyLife?: Duration;
}

/** {@link TokensOptions} with their defaults. */
export interface TokenSettings {
  readonly issuer: string;
  readonly audience: string | undefined;
  readonly accessTtlMs: number;
  readonly serviceTtlMs: number;
  readonly idleTtlMs: number;
  readonly sessionTtlMs: number;
  readonly retryGraceMs: number;
  readonly keyLifeMs: number;
}

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** No access token lives longer, so keys are published for this long after their last signature. */
export const longestAccessTtlMs = 3_600_000;

/** @throws {RangeError} naming the option that is out of range, and its range. */
export function tokenSettings(options: TokensOptions): TokenSettings {
  return {
    issuer: options.issuer,
    audience: options.audience,
    accessTtlMs: within("accessTtl", options.accessTtl ?? "10m", minuteMs, longestAccessTtlMs),
    serviceTtlMs: within("serviceTtl", options.serviceTtl ?? "5m", minuteMs, longestAccessTtlMs),
    idleTtlMs: within("idleTtl", options.idleTtl ?? "30d", minuteMs, 3_650 * dayMs),
    sessionTtlMs: within("sessionTtl", options.sessionTtl ?? "180d", minuteMs, 3_650 * dayMs),
    retryGraceMs: within("retryGrace", options.retryGrace ?? "30s", 0, 2 * minuteMs),
    keyLifeMs: within("keyLife", options.keyLife ?? "30d", dayMs, 3_650 * dayMs),
  };
}

function within(name: string, duration: Duration, leastMs: number, mostMs: number): number {
  const ms = durationMs(duration);
  if (ms >= leastMs && ms <= mostMs) return ms;
  throw new RangeError(`${name} must be ${leastMs} to ${mostMs} ms, not ${ms}`);
}
