/** One message of `POST /bulk-messages`. */
export interface Message {
  readonly to: string;
  readonly body: string;
}

const firstNumber = 15_550_000_000;

/** `count` messages to numbers that belong to nobody. */
export function sampleMessages(count: number, body: string): readonly Message[] {
  return Array.from({ length: count }, (_, index) => ({ to: `+${firstNumber + index}`, body }));
}
