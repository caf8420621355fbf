import { join } from "node:path";

import type { CommitWatchParts } from "../durable/index.ts";
import type { Route } from "../edge/index.ts";
import { cachesOf, takeEntries, writeEntries, type ResponseCache } from "../gateway/index.ts";
import type { Log } from "../kernel/index.ts";
import { CachePurges } from "./cache-purges.ts";

/** What caches of a deployment work with. */
export interface CacheParts extends CommitWatchParts {
  /** Where they are kept from one process to the next, a file for each. */
  readonly dataDir: string;
  readonly log: Log;
}

/** The caches of a deployment's routes while its server is there. */
export interface OpenCaches {
  /** Writes down what is stored, for the next process. */
  close(): void;
}

/**
 * Has the caches of `routes` follow the deployment's purges, and fills them with what the process before this one left
 * when it ended, without what was purged since. Undefined where there are none.
 * @throws {TypeError} for two caches of one name.
 * @throws {store_unavailable} when it cannot see what was purged.
 */
export async function openCaches(
  routes: readonly Route[],
  parts: CacheParts,
): Promise<OpenCaches | undefined> {
  const caches = cachesOf(routes);
  if (caches.length === 0) return undefined;
  const purges = new CachePurges(caches, parts);
  await purges.refresh();
  for (const cache of caches) {
    cache.follow(purges);
    const kept = attempt(parts, cache, () => takeEntries(fileOf(parts, cache))) ?? [];
    cache.restore(await purges.unpurged(cache.name, kept));
  }
  return {
    close() {
      for (const cache of caches) {
        attempt(parts, cache, () => writeEntries(fileOf(parts, cache), cache.usable));
        cache.follow(undefined);
      }
    },
  };
}

function fileOf({ dataDir }: CacheParts, { name }: ResponseCache): string {
  return join(dataDir, `cache-${name}.db`);
}

/** A cache that cannot be kept costs requests to its upstream, and no start or stop. */
function attempt<T>({ log }: CacheParts, { name }: ResponseCache, work: () => T): T | undefined {
  try {
    return work();
  } catch (err) {
    log.warn({ err, cache: name }, "the file of a cache cannot be used; it begins empty");
    return undefined;
  }
}
