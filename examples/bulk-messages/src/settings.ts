import { ApiForgeError } from "apiforge";

import { parseDollars, parsePriceList, type PriceList } from "./prices.ts";

/** What an operator decides about sending. */
export interface MessagingLimits {
  /** `TWILIO_MESSAGES_PER_SECOND`: of the sender, over all jobs and nodes. */
  readonly messagesPerSecond: number;
  /** `TWILIO_SPENDING_CAP_USD`: per tenant and month (UTC), in millionths. */
  readonly capMicros: number;
  /** `TWILIO_PRICES_USD`: the most that a segment costs, by the beginning of the number. */
  readonly prices: PriceList;
}

/** Values of the settings where the environment has none. */
export interface LimitDefaults {
  readonly messagesPerSecond: string;
  readonly capDollars: string;
  readonly prices: string;
}

/** A trial account's rate, and a cap that a mistake does not make expensive. */
export const trialDefaults: LimitDefaults = {
  messagesPerSecond: "1",
  capDollars: "20",
  prices: "+1=0.02,+=0.25",
};

/** For the sandbox, which has the room of a paid account and costs nothing. */
export const sandboxDefaults: LimitDefaults = {
  messagesPerSecond: "1000",
  capDollars: "100000",
  prices: "+=0.0083",
};

/**
 * Reads the limits from environment variables; empty ones count as absent.
 * @throws {config_invalid} naming the variable that cannot be used.
 */
export function readMessagingLimits(
  environment: Readonly<Record<string, string | undefined>>,
  defaults: LimitDefaults,
): MessagingLimits {
  function read<T>(name: string, otherwise: string, parse: (text: string) => T): T {
    const given = environment[name];
    try {
      return parse(given === undefined || given === "" ? otherwise : given);
    } catch (error) {
      throw configInvalid(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    messagesPerSecond: read("TWILIO_MESSAGES_PER_SECOND", defaults.messagesPerSecond, parseRate),
    capMicros: read("TWILIO_SPENDING_CAP_USD", defaults.capDollars, parseDollars),
    prices: read("TWILIO_PRICES_USD", defaults.prices, parsePriceList),
  };
}

function parseRate(text: string): number {
  const rate = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (rate >= 1) return rate;
  throw new RangeError(`${text} is not a rate; write messages per second from 1 to 99999`);
}

function configInvalid(message: string): ApiForgeError {
  const definition = { type: "api_error", status: 500, retryable: false } as const;
  return new ApiForgeError("config_invalid", definition, message);
}
