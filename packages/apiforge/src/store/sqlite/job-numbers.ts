import type { SqliteConnection } from "./connection.ts";

/**
 * Numbers of jobs, in the order of insertion. Rows and packs share them, and one process gives them
 * all; what a rolled back commit took is left out.
 */
export class JobNumbers {
  #next: number;

  constructor(connection: SqliteConnection) {
    const last = connection
      .prepare(
        `select max(
           coalesce((select max(n) from forge_jobs), 0),
           coalesce((select n + count - 1 from forge_job_packs order by n desc limit 1), 0)) as n`,
      )
      .get();
    this.#next = Number(last?.["n"]) + 1;
  }

  /** The first of `count` new numbers. */
  take(count: number): number {
    const first = this.#next;
    this.#next += count;
    return first;
  }
}
