/**
 * How a unit that ran alone would have done in a group. `unfit`: it does what a group does not, or
 * would have undone the group's work.
 */
export type Conduct = "quick" | "slow" | "unfit";

/** Quick runs in a row that the labels with the most setbacks have to show. */
const longestProbation = 256;
/** Labels that are remembered. */
const labelLimit = 1_000;

interface Probation {
  /** Quick runs since the last setback. */
  runs: number;
  /** Quick runs after which units of the label may share a transaction. */
  required: number;
}

/** Knows the labels whose units have shown that they hold up nobody with whom they share a transaction. */
export class Labels {
  readonly #quickAfter: number;
  readonly #probations = new Map<string, Probation>();

  /** @param quickAfter quick runs in a row that a new label has to show. */
  constructor(quickAfter: number) {
    this.#quickAfter = quickAfter;
  }

  isQuick(label: string): boolean {
    const { runs, required } = this.#probation(label);
    return runs >= required;
  }

  /** Takes note of one run; each unfit one doubles what the label has to show. */
  observe(label: string, conduct: Conduct | undefined): void {
    if (conduct === undefined) return;
    const probation = this.#probation(label);
    if (conduct === "quick") {
      probation.runs += 1;
      return;
    }
    probation.runs = 0;
    if (conduct === "unfit")
      probation.required = Math.min(probation.required * 2, longestProbation);
  }

  #probation(label: string): Probation {
    const known = this.#probations.get(label);
    if (known !== undefined) return known;
    const [oldest] = this.#probations.keys();
    if (oldest !== undefined && this.#probations.size >= labelLimit)
      this.#probations.delete(oldest);
    const probation = { runs: 0, required: this.#quickAfter };
    this.#probations.set(label, probation);
    return probation;
  }
}
