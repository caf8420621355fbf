import type { Metric } from "../../kernel/index.ts";
import type { Order } from "./messages.ts";

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that a supervisor started. */
export interface Forked {
  readonly number: number;
  readonly pid: number | undefined;
  /** Where it serves; undefined when it ended before. */
  readonly serving: Promise<string | undefined>;
  readonly ended: Promise<Ending>;
  /** Has it end in order: at once, or when its connections have ended. */
  end(order: Extract<Order, { readonly kind: "drain" | "stop" }>["kind"]): void;
  kill(signal: NodeJS.Signals): void;
  /** Its own metrics; undefined when it ends before it tells them. */
  measure(): Promise<readonly Metric[] | undefined>;
}

/** Starts a process of this number. */
export type Fork = (number: number) => Forked;

/** How a process ended, in words for the log. */
export function describeEnding({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`;
}
