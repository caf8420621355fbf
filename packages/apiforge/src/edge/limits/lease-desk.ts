import type { Lease, LeaseAsk } from "../../store/index.ts";

/** Gives out blocks of limits and quotas: the store, or what stands in front of it. */
export interface LeaseSource {
  /** Answers position by position. */
  lease(asks: readonly LeaseAsk[]): Promise<readonly Lease[]>;
}

interface Waiting {
  /** Made when it goes, with all that is known by then. */
  readonly ask: () => LeaseAsk;
  readonly resolve: (lease: Lease) => void;
  readonly reject: (error: unknown) => void;
}

/** Asks that one call takes to the source. */
const mostAsks = 500;

/**
 * Takes asks to a source: those of one turn of the event loop, and those that come while an answer
 * is outstanding, go together, so that a burst costs few commits.
 */
export class LeaseDesk {
  readonly #source: LeaseSource;
  #waiting: Waiting[] = [];
  #asking: Promise<void> | undefined;

  constructor(source: LeaseSource) {
    this.#source = source;
  }

  /** @throws (rejects) what the source throws; what was given back then counts as used. */
  ask(ask: () => LeaseAsk): Promise<Lease> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ask, resolve, reject });
      this.#asking ??= this.#askAll();
    });
  }

  /** Resolves when nothing is outstanding. */
  async idle(): Promise<void> {
    await this.#asking;
  }

  async #askAll(): Promise<void> {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const together = this.#waiting.splice(0, mostAsks);
      try {
        const leases = await this.#source.lease(together.map(({ ask }) => ask()));
        for (const [place, { resolve, reject }] of together.entries()) {
          const lease = leases[place];
          if (lease === undefined) reject(new TypeError("A lease was not answered"));
          else resolve(lease);
        }
      } catch (error) {
        for (const { reject } of together) reject(error);
      }
    }
    this.#asking = undefined;
  }
}
