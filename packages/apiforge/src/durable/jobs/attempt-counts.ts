import type { Sample } from "../../kernel/index.ts";
import type { JobSettlement } from "../../store/index.ts";

/** Attempts of this process by type of job and how they ended. */
export class AttemptCounts {
  readonly #types = new Map<string, Map<string, number>>();

  /** `end` is undefined for an attempt that ended its job itself, together with its effects. */
  add(type: string, end: JobSettlement | undefined): void {
    const outcome = end?.outcome ?? "completed";
    let outcomes = this.#types.get(type);
    if (outcomes === undefined) this.#types.set(type, (outcomes = new Map()));
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  samples(): readonly Sample[] {
    return [...this.#types].flatMap(([type, outcomes]) =>
      [...outcomes].map(([outcome, value]) => ({ labels: { type, outcome }, value })),
    );
  }
}
