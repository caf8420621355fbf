/**
 * How a request went on that others waited for. `kept`: its answer is stored. `failed`: the upstream gave none that
 * can be used. `alone`: its answer is not for others. `given up`: its client went before there was one.
 */
export type Landing = "kept" | "failed" | "alone" | "given up";

/** One request to the upstream, whose answer others wait for. */
export interface Flight {
  readonly key: string;
  /** The last purge that was known when it began: who comes after a later one cannot use it. */
  readonly epoch: number;
  /** Waits for its end. Answers how to wait no more. */
  join(landed: (landing: Landing) => void): () => void;
  /** Somebody waits for it; set by who flies it. */
  onJoined: (() => void) | undefined;
  readonly isAwaited: boolean;
  /** It has ended; calls those who wait, in order. */
  land(landing: Landing): void;
}

/** What was learnt of a URL: that its answers are not stored, or each for its caller alone. */
type Habit = "alone" | "by caller";

const maxHabits = 10_000;

/** Requests under way, so that those that come meanwhile for the same need not be sent. */
export class Flights {
  readonly #flights = new Map<string, Flight>();
  readonly #habits = new Map<string, Habit>();

  /** By what requests to a URL wait for each other; undefined where they do not, since its answers are not for others. */
  keyFor(url: string, caller: string | undefined): string | undefined {
    const habit = this.#habits.get(url);
    if (habit === "alone") return undefined;
    return habit === "by caller" ? `${url}\n${caller ?? ""}` : url;
  }

  /** Remembers whom the last answer of a URL was for, so that the next ones need not wait to learn it. */
  learn(url: string, audience: "all" | "caller" | undefined): void {
    this.#habits.delete(url);
    if (audience === "all") return;
    this.#habits.set(url, audience === "caller" ? "by caller" : "alone");
    const [oldest] = this.#habits.size > maxHabits ? this.#habits.keys() : [];
    if (oldest !== undefined) this.#habits.delete(oldest);
  }

  /** One that is under way since the purge of `epoch`. */
  find(key: string, epoch: number): Flight | undefined {
    const flight = this.#flights.get(key);
    return flight === undefined || flight.epoch < epoch ? undefined : flight;
  }

  /** Begins one, in the place of one that is too old. */
  begin(key: string, epoch: number): Flight {
    const waiting = new Set<(landing: Landing) => void>();
    const flight: Flight & { isAwaited: boolean } = {
      key,
      epoch,
      onJoined: undefined,
      isAwaited: false,
      join: (landed) => {
        waiting.add(landed);
        flight.isAwaited = true;
        flight.onJoined?.();
        return () => void waiting.delete(landed);
      },
      land: (landing) => {
        this.leave(flight);
        const all = [...waiting];
        waiting.clear();
        for (const landed of all) landed(landing);
      },
    };
    this.#flights.set(key, flight);
    return flight;
  }

  /** Nobody joins it any more. */
  leave(flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  }
}
