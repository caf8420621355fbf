/**
 * Numbers the configurations of several processes that read them on their own: one number for one content, in the
 * order in which they were first served. So processes that see changes at different times agree in the end.
 */
export class RevisionNumbers {
  readonly #numbers = new Map<string, number>();

  /** The number of the configuration of `digest`. */
  of(digest: string): number {
    const known = this.#numbers.get(digest);
    if (known !== undefined) return known;
    const next = this.#numbers.size + 1;
    this.#numbers.set(digest, next);
    return next;
  }
}
