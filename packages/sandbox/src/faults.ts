import { ControlError } from "./control.ts";
import { readFields, readInteger } from "./json-fields.ts";
import type { ControlResource } from "./provider.ts";

/**
 * Faults that every provider has: an answer of that status, an answer that comes late, and a
 * connection that is reset without an answer. A provider adds its own error words.
 */
export const wireFaults = ["none", "500", "503", "429", "slow", "dead"] as const;

/** How the next requests are treated. */
export interface Fault<Kind extends string> {
  readonly kind: Kind;
  /** Value of `Retry-After` with kind 429. */
  readonly retryAfterSeconds: number;
  /** Milliseconds before the answer with kind slow. */
  readonly delayMs: number;
  /** Requests that it still applies to; null: until it is changed. */
  readonly times: number | null;
}

/** The fault of one provider, switched at run time. */
export interface FaultSwitch<Kind extends string> {
  /** The fault for the request at hand; counts it off. */
  next(): Fault<Kind>;
  /** The fault for a request that does not count: one that passes by itself is not for it. */
  lasting(): Fault<Kind>;
  /** `GET` shows it, `PUT` sets it, `DELETE` switches it off. */
  readonly control: ControlResource;
}

/** A switch between `none` and the other `kinds`, off at first. */
export function createFaultSwitch<Kind extends string>(
  kinds: readonly (Kind | "none")[],
): FaultSwitch<Kind | "none"> {
  const off = { kind: "none", retryAfterSeconds: 1, delayMs: 0, times: null } as const;
  let fault: Fault<Kind | "none"> = off;
  return {
    next() {
      const current = fault;
      if (current.times !== null) {
        fault = current.times > 1 ? { ...current, times: current.times - 1 } : off;
      }
      return current;
    },
    lasting: () => (fault.times === null ? fault : off),
    control: {
      GET: () => fault,
      PUT(body) {
        fault = parseFault(body, kinds);
        return fault;
      },
      DELETE() {
        fault = off;
      },
    },
  };
}

function parseFault<Kind extends string>(body: unknown, kinds: readonly Kind[]): Fault<Kind> {
  const fields = readFields(body, ["kind", "retryAfterSeconds", "delayMs", "times"]);
  // 500 without quotes is what people type.
  const kind = kinds.find((known) => known === String(fields["kind"]));
  if (kind === undefined) throw new ControlError(`kind must be one of ${kinds.join(", ")}`);
  return {
    kind,
    retryAfterSeconds: readInteger(fields, "retryAfterSeconds", {
      min: 0,
      max: 86_400,
      fallback: 1,
    }),
    delayMs: readInteger(fields, "delayMs", { min: 0, max: 600_000, fallback: 5_000 }),
    times: readInteger(fields, "times", { min: 1, max: 1_000_000, fallback: null }),
  };
}
