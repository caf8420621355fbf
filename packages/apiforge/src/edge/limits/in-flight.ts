/** Counts what is at work by subject. */
export class InFlight {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False when `subject` has as many at work as it may; else it has one more. */
  enter(subject: string): boolean {
    const count = this.#counts.get(subject) ?? 0;
    if (count >= this.#most) return false;
    this.#counts.set(subject, count + 1);
    return true;
  }

  /** One of `subject` has ended. */
  leave(subject: string): void {
    const count = this.#counts.get(subject) ?? 0;
    if (count > 1) this.#counts.set(subject, count - 1);
    else this.#counts.delete(subject);
  }
}
