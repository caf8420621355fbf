import {
  CommitWatch,
  type CommitWatchParts,
  type Reader,
  type Transaction,
} from "../durable/index.ts";
import type { Route } from "../edge/index.ts";
import { cachesOf, type Purge, type PurgeLog, type ResponseCache } from "../gateway/index.ts";

/** Purges that are kept for nodes that have not seen them; who has missed more empties its caches. */
const keptPurges = 100_000;

interface PurgeRow {
  readonly epoch: number;
  readonly cache: string;
  readonly kind: string;
  readonly value: string;
}

/** Purges caches in the transactions of others, and has this node's follow what was purged on any; see {@link CommitWatch}. */
export class CachePurges implements PurgeLog {
  readonly #caches: readonly ResponseCache[];
  readonly #watch: CommitWatch;

  /** @throws {TypeError} for two caches of one name. */
  constructor(caches: readonly ResponseCache[], parts: CommitWatchParts) {
    const names = new Set(caches.map(({ name }) => name));
    if (names.size < caches.length) {
      throw new TypeError("Two caches of these routes have one name; give each its own");
    }
    this.#caches = caches;
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

  /** @see {PurgeLog} */
  async purge(tx: Transaction, cache: string, purges: readonly Purge[]): Promise<void> {
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
    this.#watch.begin(epoch);
  }

  async #read({ sql }: Reader, seen: number | undefined): Promise<number> {
    const [counted] = await sql<{ readonly epoch: number }>`select epoch from forge_cache_epoch`;
    const last = counted?.epoch ?? 0;
    // What is stored by the first look was asked for before this node knew of any purge.
    if (seen === undefined || last - seen >= keptPurges) {
      for (const cache of this.#caches) cache.clear(last);
      return last;
    }
    if (last === seen) return last;
    const rows = await sql<PurgeRow>`
      select epoch, cache, kind, value from forge_cache_purges where epoch > ${seen} order by epoch, n`;
    for (const row of rows) {
      for (const cache of this.#caches)
        if (cache.name === row.cache) cache.apply(read(row), row.epoch);
    }
    return last;
  }
}

/** Has the caches of `routes` follow the deployment's purges; undefined where there are none. Answers what ends it. */
export async function followPurges(
  routes: readonly Route[],
  parts: CommitWatchParts,
): Promise<(() => void) | undefined> {
  const caches = cachesOf(routes);
  if (caches.length === 0) return undefined;
  const purges = new CachePurges(caches, parts);
  await purges.refresh();
  for (const cache of caches) cache.follow(purges);
  return () => {
    for (const cache of caches) cache.follow(undefined);
  };
}

function written(purge: Purge): readonly [kind: string, value: string] {
  if ("tag" in purge) return ["tag", purge.tag];
  return "prefix" in purge ? ["prefix", purge.prefix] : ["all", ""];
}

function read({ kind, value }: PurgeRow): Purge {
  if (kind === "tag") return { tag: value };
  return kind === "prefix" ? { prefix: value } : { all: true };
}
