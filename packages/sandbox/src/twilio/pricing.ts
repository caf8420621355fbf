import { ControlError } from "../control.ts";
import { readFields } from "../json-fields.ts";
import type { ControlResource } from "../provider.ts";
import type { Message } from "./message.ts";

/** What a segment costs. */
export interface Pricing {
  /** A message's price as Twilio writes it: US dollars, negative, five decimals. */
  priceOf(message: Message): string;
  /** `GET` shows the price, `PUT {"perSegment": "0.0083"}` sets it. */
  readonly control: ControlResource;
}

/** Twilio's list price of a US message at first. */
export function createPricing(): Pricing {
  let perSegment = "0.0083";
  return {
    priceOf: (message) => (-Number(perSegment) * message.segments).toFixed(5),
    control: {
      GET: () => ({ perSegment }),
      PUT(body) {
        const wanted = readFields(body, ["perSegment"])["perSegment"];
        if (typeof wanted !== "string" || !/^\d{1,4}(\.\d{1,5})?$/.test(wanted)) {
          throw new ControlError('perSegment must be dollars as text, such as "0.0083"');
        }
        perSegment = wanted;
        return { perSegment };
      },
    },
  };
}
