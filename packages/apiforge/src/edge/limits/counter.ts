/** What a subject has left of one policy. */
export interface Standing {
  /** Requests that would be admitted now. */
  readonly remaining: number;
  /** Milliseconds until there is more; 0 when nothing is spent. */
  readonly resetInMs: number;
}

/**
 * Counts one policy. All of it is synchronous, so that the limits of one request are looked at and
 * taken within one turn of the event loop, as one.
 */
export interface Counter {
  /**
   * Absent, the counter always knows. Undefined when {@link look} knows now; else what to wait for
   * before asking again.
   */
  prepare?(subject: string, elapsedMs: number): Promise<void> | undefined;
  look(subject: string, elapsedMs: number): Standing;
  /** Spends one; only right after {@link look} said that one remains. Answers what {@link giveBack} needs. */
  take(subject: string, elapsedMs: number): number;
  /** What callers are told after {@link take}; absent, what {@link look} says then. */
  tell?(subject: string, elapsedMs: number): Standing;
  /** Takes a spending back that led to nothing. */
  giveBack(subject: string, receipt: number): void;
  /** Goes on with another limit, over what has been counted. */
  resize(limit: number): void;
}
