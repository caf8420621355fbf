/** Why somebody was refused. */
export interface Refusal {
  readonly at: number;
  /** Method and path of the route. */
  readonly route: string;
  readonly requestId: string;
}

/** Subjects of one policy whose last refusal is known; the one refused longest ago makes room. */
const mostSubjects = 1_000;

/** The last refusals of each policy, in this process. */
export class Refusals {
  readonly #policies = new Map<string, Map<string, Refusal>>();

  note(policy: string, subject: string, refusal: Refusal): void {
    let known = this.#policies.get(policy);
    if (known === undefined) this.#policies.set(policy, (known = new Map()));
    known.delete(subject);
    known.set(subject, refusal);
    if (known.size <= mostSubjects) return;
    for (const oldest of known.keys()) {
      known.delete(oldest);
      return;
    }
  }

  find(policy: string, subject: string): Refusal | undefined {
    return this.#policies.get(policy)?.get(subject);
  }
}
