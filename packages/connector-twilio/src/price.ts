/** An amount of money in millionths of its currency's unit: 8300 is 0.0083 dollars. */
export interface Price {
  readonly micros: number;
  /** ISO 4217, such as `USD`. */
  readonly currency: string;
}

/**
 * The price in a message resource, which Twilio writes as a negative decimal; undefined while it
 * is not known. More than six decimals are rounded up.
 */
export function parsePrice(price: unknown, currency: unknown): Price | undefined {
  const parts = /^-?(\d{1,9})(?:\.(\d+))?$/.exec(String(price));
  if (parts === null || typeof currency !== "string") return undefined;
  const [, whole = "0", decimals = ""] = parts;
  const micros = Number(whole) * 1_000_000 + Number(decimals.slice(0, 6).padEnd(6, "0"));
  const isMore = /[1-9]/.test(decimals.slice(6));
  return { micros: isMore ? micros + 1 : micros, currency: currency.toUpperCase() };
}
