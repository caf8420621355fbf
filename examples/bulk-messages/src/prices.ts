import { nonRetriable } from "apiforge";

/** The most that one segment costs, in millionths of a dollar, by the beginning of the number. */
export type PriceList = readonly { readonly prefix: string; readonly segmentMicros: number }[];

/**
 * The list in a setting such as `+1=0.0083,+44=0.0524,+=0.20`: the longest prefix counts, and `+`
 * is everybody else. Write upper bounds, carrier fees included: they are what a message reserves.
 * @throws {RangeError} for text that is no such list.
 */
export function parsePriceList(text: string): PriceList {
  const entries = text.split(",").map((entry) => {
    const [, prefix = "", price = ""] =
      /^\s*(\+\d{0,14})=(\d{1,4}(?:\.\d{1,6})?)\s*$/.exec(entry) ?? [];
    if (prefix === "") {
      throw new RangeError(`${text} is not a price list; write +1=0.0083,+44=0.0524,+=0.20`);
    }
    return { prefix, segmentMicros: parseDollars(price) };
  });
  return entries.toSorted((one, other) => other.prefix.length - one.prefix.length);
}

/** Dollars as text in millionths, for example 8300 for `0.0083`. @throws {RangeError} for other text. */
export function parseDollars(text: string): number {
  const [, whole, decimals = ""] = /^(\d{1,9})(?:\.(\d{1,6}))?$/.exec(text.trim()) ?? [];
  if (whole === undefined) throw new RangeError(`${text} is not an amount; write dollars as 20.00`);
  return Number(whole) * 1_000_000 + Number(decimals.padEnd(6, "0"));
}

/** Millionths of a dollar as people write them. */
export function formatDollars(micros: number): string {
  return `${(micros / 1_000_000).toFixed(2)} USD`;
}

/**
 * The most that a message to `to` costs.
 * @throws {job_not_retriable} when the list has no price for it: what it costs is not known, so it
 * is not sent.
 */
export function mostOf(prices: PriceList, to: string, segments: number): number {
  const price = prices.find(({ prefix }) => to.startsWith(prefix));
  if (price !== undefined) return price.segmentMicros * segments;
  throw nonRetriable("There is no price for this number's region; add it to TWILIO_PRICES_USD");
}
