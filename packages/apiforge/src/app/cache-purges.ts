import {
  CommitWatch,
  type CommitWatchParts,
  type Reader,
  type Transaction,
} from "../durable/index.ts";
import {
  isPurged,
  type Entry,
  type Purge,
  type PurgeLog,
  type ResponseCache,
} from "../gateway/index.ts";

/** Purges that are kept for nodes that have not seen them; who has missed more empties its caches. */
const keptPurges = 100_000;

interface PurgeRow {
  readonly epoch: number;
  readonly cache: string;
  readonly kind: string;
  readonly value: string;
}

/** Stands for the caches of all names; no cache can be called so. */
export const everyCache = "*";

/** Purges caches in the transactions of others, and has this node's follow what was purged on any; see {@link CommitWatch}. */
export class CachePurges implements PurgeLog {
  readonly #caches = new Set<ResponseCache>();
  readonly #parts: CommitWatchParts;
  readonly #watch: CommitWatch;

  constructor(parts: CommitWatchParts) {
    this.#parts = parts;
    this.#watch = new CommitWatch(parts, {
      name: "look for cache purges",
      read: (reader, seen) => this.#read(reader, seen),
    });
  }

  get epoch(): number {
    return this.#watch.seen;
  }

  isFresh(): boolean {
    return this.#watch.isFresh();
  }

  refresh(): Promise<void> {
    return this.#watch.refresh();
  }

  /** Has a cache follow, once {@link refresh} was called; it begins empty. @throws {TypeError} for one that follows another's. */
  add(cache: ResponseCache): void {
    cache.follow(this, this.epoch);
    this.#caches.add(cache);
  }

  /** A cache follows no more. */
  remove(cache: ResponseCache): void {
    this.#caches.delete(cache);
    cache.leave();
  }

  /** @see {PurgeLog} */
  async purge(tx: Transaction, cache: string, purges: readonly Purge[]): Promise<void> {
    this.#watch.begin(await writePurges(tx, cache, purges));
  }

  /** Of `entries`, which another process stored in the cache of this name, those that no purge has named since. */
  async unpurged(cache: string, entries: readonly Entry[]): Promise<readonly Entry[]> {
    const since = entries.reduce((least, { epoch }) => Math.min(least, epoch), this.epoch);
    // What was purged is not known any more, or the count is another store's.
    if (this.epoch - since >= keptPurges) return [];
    const { durable } = this.#parts;
    const rows = await durable.read("look for cache purges", (reader) => readSince(reader, since));
    const purges = rows.filter((row) => isOf(row, cache));
    return entries.filter(
      (entry) =>
        entry.epoch <= this.epoch &&
        !purges.some((row) => entry.epoch < row.epoch && isPurged(entry, read(row))),
    );
  }

  async #read(reader: Reader, seen: number | undefined): Promise<number> {
    const [counted] = await reader.sql<{
      readonly epoch: number;
    }>`select epoch from forge_cache_epoch`;
    const last = counted?.epoch ?? 0;
    // What is stored by the first look was asked for before this node knew of any purge.
    if (seen === undefined || last - seen >= keptPurges) {
      for (const cache of this.#caches) cache.clear(last);
      return last;
    }
    if (last === seen) return last;
    const rows = await readSince(reader, seen);
    for (const row of rows) {
      for (const cache of this.#caches)
        if (isOf(row, cache.name)) cache.apply(read(row), row.epoch);
    }
    return last;
  }
}

/**
 * Leaves purges of the caches of a name, or of {@link everyCache}, to be seen by all nodes with the commit of `tx`.
 * Answers their number.
 */
export async function writePurges(
  tx: Transaction,
  cache: string,
  purges: readonly Purge[],
): Promise<number> {
  const [counted] = await tx.sql<{ readonly epoch: number }>`
    update forge_cache_epoch set epoch = epoch + 1 returning epoch`;
  if (counted === undefined) throw new Error("The count of cache purges is missing");
  const { epoch } = counted;
  for (const [n, purge] of purges.entries()) {
    const [kind, value] = written(purge);
    await tx.sql`
      insert into forge_cache_purges (epoch, n, cache, kind, value)
      values (${epoch}, ${n}, ${cache}, ${kind}, ${value})`;
  }
  await tx.sql`delete from forge_cache_purges where epoch <= ${epoch - keptPurges}`;
  return epoch;
}

function isOf(row: PurgeRow, cache: string): boolean {
  return row.cache === cache || row.cache === everyCache;
}

function readSince({ sql }: Reader, epoch: number): Promise<readonly PurgeRow[]> {
  return sql<PurgeRow>`
    select epoch, cache, kind, value from forge_cache_purges where epoch > ${epoch} order by epoch, n`;
}

function written(purge: Purge): readonly [kind: string, value: string] {
  if ("tag" in purge) return ["tag", purge.tag];
  return "prefix" in purge ? ["prefix", purge.prefix] : ["all", ""];
}

function read({ kind, value }: PurgeRow): Purge {
  if (kind === "tag") return { tag: value };
  return kind === "prefix" ? { prefix: value } : { all: true };
}
