import { join } from "node:path";

import type { CommitWatchParts, Durable } from "../durable/index.ts";
import type { Route } from "../edge/index.ts";
import { cachesOf, takeEntries, writeEntries, type ResponseCache } from "../gateway/index.ts";
import type { Log } from "../kernel/index.ts";
import { CachePurges } from "./cache-purges.ts";
import { PurgeRequests } from "./purge-requests.ts";

/** What caches of a deployment work with. */
export interface CacheParts extends CommitWatchParts {
  readonly durable: Pick<Durable, "read" | "transact">;
  /** Where they are kept from one process to the next, a file for each. */
  readonly dataDir: string;
  readonly log: Log;
}

/** The caches of a deployment's routes while its server is there. */
export interface OpenCaches {
  /**
   * Has the caches of `routes` follow the deployment's purges before `serve` serves them, and those that no route has any
   * more follow none from then on. A cache that stays keeps what is stored; one that comes begins empty.
   * @throws {TypeError} for two caches of one name, and what `serve` throws; those before then go on.
   */
  change(routes: readonly Route[], serve: () => Promise<void>): Promise<void>;
  /** Writes down what is stored, for the next process. */
  close(): Promise<void>;
}

/**
 * Has the caches of `routes` follow the deployment's purges, and fills them with what the process before this one left
 * when it ended, without what was purged since.
 * @throws {TypeError} for two caches of one name.
 * @throws {store_unavailable} when it cannot see what was purged.
 */
export async function openCaches(routes: readonly Route[], parts: CacheParts): Promise<OpenCaches> {
  const purges = new CachePurges(parts);
  const requests = parts.singleProcess ? new PurgeRequests({ ...parts, purges }) : undefined;
  let caches: readonly ResponseCache[] = [];
  let hasRequests = false;

  /** Begins to look at what is purged; a server without caches does not. */
  async function look(): Promise<void> {
    if (!hasRequests) {
      hasRequests = true;
      await requests?.open();
    }
    await purges.refresh();
  }

  async function changeNow(wanted: readonly Route[], serve: () => Promise<void>): Promise<void> {
    const next = namedCaches(wanted);
    const coming = next.filter((cache) => !caches.includes(cache));
    if (coming.length > 0) await look();
    const added: ResponseCache[] = [];
    try {
      for (const cache of coming) {
        purges.add(cache);
        added.push(cache);
      }
      await serve();
    } catch (error) {
      for (const cache of added) purges.remove(cache);
      throw error;
    }
    for (const cache of caches) if (!next.includes(cache)) purges.remove(cache);
    caches = next;
  }

  let changing = Promise.resolve();
  function change(wanted: readonly Route[], serve: () => Promise<void>): Promise<void> {
    const done = changing.then(() => changeNow(wanted, serve));
    changing = done.catch(() => undefined);
    return done;
  }

  async function restore(cache: ResponseCache): Promise<void> {
    const kept =
      attempt(parts, cache, () => takeEntries(fileOf(parts, cache), cache.version)) ?? [];
    cache.restore(await purges.unpurged(cache.name, kept));
  }

  try {
    await change(routes, async () => undefined);
    for (const cache of caches) await restore(cache);
  } catch (error) {
    await requests?.close();
    throw error;
  }
  return {
    change,
    async close() {
      await requests?.close();
      for (const cache of caches) {
        attempt(parts, cache, () =>
          writeEntries(fileOf(parts, cache), cache.version, cache.usable),
        );
        purges.remove(cache);
      }
    },
  };
}

/** Each once. @throws {TypeError} for two of one name. */
function namedCaches(routes: readonly Route[]): readonly ResponseCache[] {
  const caches = cachesOf(routes);
  const names = new Set(caches.map(({ name }) => name));
  if (names.size < caches.length) {
    throw new TypeError("Two caches of these routes have one name; give each its own");
  }
  return caches;
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
