import type { CommitFault } from "./faulty-store.ts";

/** What the handler of a request does, after it has had its effects. */
export type Behaviour =
  /** Answers 201. */
  | "creates"
  /** Answers 402: a refusal that stands, effects and all. */
  | "declines"
  /** Throws a 409: a refusal without effects. */
  | "refuses"
  /** Answers 503. */
  | "fails"
  /** Throws something that is no answer. */
  | "breaks";

/** What is asked. */
export interface ModelRequest {
  readonly key: string | undefined;
  readonly content: string;
  readonly behaviour: Behaviour;
  readonly fault: CommitFault | undefined;
}

/** What becomes of it: a status with how it came about, or an error. */
export type ModelOutcome =
  | { readonly outcome: "fresh" | "replayed"; readonly status: number; readonly run: number }
  | { readonly outcome: "in_flight" | "mismatch" | "broken" | "unknown" };

interface Recorded {
  readonly content: string;
  readonly status: number;
  /** Which run of a handler answered. */
  readonly run: number;
  readonly createdAt: number;
}

const statuses: Readonly<Record<Exclude<Behaviour, "breaks">, number>> = {
  creates: 201,
  declines: 402,
  refuses: 409,
  fails: 503,
};

/** Idempotency keys as one reads them in the contract. */
export class IdempotencyModel {
  now: number;
  /** Handlers that ran to their end and whose effects stand. */
  effects = 0;
  readonly answers = new Map<string, Recorded>();

  constructor(now: number) {
    this.now = now;
  }

  /** @param run the number of the run that the handler answers with, should it run. */
  execute(request: ModelRequest, run: number): ModelOutcome {
    const { key, content, behaviour, fault } = request;
    const recorded = key === undefined ? undefined : this.answers.get(key);
    if (recorded !== undefined) {
      if (recorded.content !== content) return { outcome: "mismatch" };
      return { outcome: "replayed", status: recorded.status, run: recorded.run };
    }
    if (behaviour === "breaks") return { outcome: "broken" };
    const status = statuses[behaviour];
    // These leave their transaction by a throw, so its commit cannot go wrong.
    if (behaviour === "fails") return { outcome: "fresh", status, run };
    if (behaviour === "refuses") {
      this.#record(request, status, run);
      return { outcome: "fresh", status, run };
    }
    if (fault === "undone") return { outcome: "unknown" };
    this.effects += 1;
    this.#record(request, status, run);
    if (fault === undefined) return { outcome: "fresh", status, run };
    // Only a key can tell what became of a commit.
    return key === undefined ? { outcome: "unknown" } : { outcome: "replayed", status, run };
  }

  sweep(olderThanMs: number): number {
    const before = this.answers.size;
    for (const [key, { createdAt }] of this.answers) {
      if (createdAt < this.now - olderThanMs) this.answers.delete(key);
    }
    return before - this.answers.size;
  }

  #record({ key, content }: ModelRequest, status: number, run: number): void {
    if (key !== undefined) this.answers.set(key, { content, status, run, createdAt: this.now });
  }
}
