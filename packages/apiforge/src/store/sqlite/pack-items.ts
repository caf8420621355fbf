import type { StatementSync } from "node:sqlite";

import type { NewJob } from "../contract.ts";
import type { SqliteConnection } from "./connection.ts";

/** What differs between the jobs of a pack. */
export type PackItem = readonly [id: string, payload: string];

/** Packs whose items are kept as they were read: a worker takes a pack in several claims. */
const cachedPacks = 4;

/** The jobs of packs: one JSON text each, written once. */
export class PackItems {
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #delete: StatementSync;
  // A number is given once in the life of a process, so what was read stays true.
  readonly #cache = new Map<number, readonly PackItem[]>();

  constructor(connection: SqliteConnection) {
    this.#insert = connection.prepare("insert into forge_pack_items (n, jobs) values (?, ?)");
    this.#find = connection.prepare("select jobs from forge_pack_items where n = ?");
    this.#delete = connection.prepare("delete from forge_pack_items where n = ?");
  }

  save(n: number, jobs: readonly NewJob[]): void {
    this.#insert.run(n, JSON.stringify(jobs.map(({ id, payload }) => [id, payload])));
  }

  /** The items of pack `n`, in the order of their numbers. */
  of(n: number): readonly PackItem[] {
    const known = this.#cache.get(n);
    if (known !== undefined) return known;
    const items: readonly PackItem[] = JSON.parse(String(this.#find.get(n)?.["jobs"]));
    if (this.#cache.size === cachedPacks) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
    this.#cache.set(n, items);
    return items;
  }

  delete(n: number): void {
    this.#delete.run(n);
    this.#cache.delete(n);
  }
}
