import type { Transaction } from "../../durable/index.ts";
import { systemClock, type Clock } from "../../kernel/index.ts";
import { validators, type Entry } from "./entry.ts";
import { FillRoom } from "./fill.ts";
import { Flights } from "./flights.ts";
import { remainingMs } from "./freshness.ts";
import type { Intake } from "./intake.ts";
import { isPurged, MemoryStore, type Purge } from "./memory-store.ts";
import type { PurgeLog } from "./purge-log.ts";

/** Options of {@link responseCache}. */
export interface ResponseCacheOptions {
  /** By which nodes know it from other caches of the deployment, and in the name of its file: a-z, 0-9 and -; default `responses`. */
  readonly name?: string;
  /** Room for stored answers, with what is needed to find them; default 64 MiB. What was not used for longest goes first. */
  readonly maxBytes?: number;
  /** Larger bodies are passed on and not stored; default 1 MiB. */
  readonly maxEntryBytes?: number;
  /**
   * Of the declarations that decide what is answered, say a hash of them: what a process with another version has
   * left on disk is not taken over. Default empty.
   */
  readonly version?: string;
  /** Default the machine's. */
  readonly clock?: Clock;
}

/** Of a cache that is declared without a name. */
export const defaultCacheName = "responses";
const defaultMaxBytes = 67_108_864;
const defaultMaxEntryBytes = 1_048_576;
/** Of the room, what bodies may take that are still on their way. */
const fillShare = 0.25;
/** Purges that are remembered for answers that were under way when they came. */
const maxRecent = 1_000;

/** Answers of upstreams that are given again (RFC 9111), shared by the routes that are declared with it. */
export class ResponseCache {
  readonly name: string;
  readonly version: string;
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly flights = new Flights();
  readonly room: FillRoom;
  readonly #intakes = new Map<string, Set<Intake>>();
  /** The latest purges, in order. */
  readonly #recent: { readonly purge: Purge; readonly epoch: number }[] = [];
  /** Purges up to this one are not in {@link #recent}. */
  #floor = 0;
  #log: PurgeLog | undefined;

  constructor(options: ResponseCacheOptions) {
    const { maxBytes = defaultMaxBytes, maxEntryBytes = defaultMaxEntryBytes } = options;
    if (!(maxEntryBytes > 0 && maxEntryBytes <= maxBytes * fillShare)) {
      throw new TypeError("responseCache: maxEntryBytes is at most a quarter of maxBytes");
    }
    this.name = options.name ?? defaultCacheName;
    this.version = options.version ?? "";
    this.maxBytes = maxBytes;
    if (!/^[a-z0-9-]{1,64}$/.test(this.name)) {
      throw new TypeError(`responseCache ${this.name}: a name is made of a-z, 0-9 and -`);
    }
    this.clock = options.clock ?? systemClock;
    this.store = new MemoryStore(maxBytes, maxEntryBytes);
    this.room = new FillRoom(maxBytes * fillShare);
  }

  /**
   * Takes stored answers out of the caches of all nodes with the commit of `tx`, and none without it: by a tag that their
   * upstream gave them (`Cache-Tag`, `Surrogate-Key`), by the beginning of their path, or all. Answers that were
   * under way at the commit are not stored. This node gives none of them from the commit on, others for 250 ms at most.
   * Call it last in a transaction: until the commit it holds a lock that all such calls share.
   * @example await cache.purge(tx, { tag: `product-${id}` })
   * @throws {TypeError} when no server is open whose routes have this cache.
   */
  async purge(tx: Transaction, ...purges: readonly Purge[]): Promise<void> {
    if (this.#log === undefined) {
      throw new TypeError(`responseCache ${this.name}: no server is open whose routes have it`);
    }
    await this.#log.purge(tx, this.name, purges);
  }

  /**
   * Follows the purges of a deployment, of which it has nothing stored that `epoch` or one before names.
   * @throws {TypeError} for one that follows another's.
   */
  follow(log: PurgeLog, epoch: number): void {
    if (this.#log !== undefined) {
      throw new TypeError(`responseCache ${this.name}: it belongs to another server already`);
    }
    this.#log = log;
    this.clear(epoch);
  }

  /** Follows no more, and stores nothing until it does again: who sees no purge must not keep what one may name. */
  leave(): void {
    this.#log = undefined;
    this.clear(Number.POSITIVE_INFINITY);
  }

  /** The last purge that this node has seen. */
  get epoch(): number {
    return this.#log?.epoch ?? 0;
  }

  /** False when there may be a purge that this node had to see by now; then {@link refresh} it. */
  isFresh(): boolean {
    return this.#log?.isFresh() ?? true;
  }

  /** @throws {store_unavailable} when it cannot look. */
  async refresh(): Promise<void> {
    await this.#log?.refresh();
  }

  /** A purge has been seen. */
  apply(purge: Purge, epoch: number): void {
    this.store.purge(purge, epoch);
    this.#recent.push({ purge, epoch });
    const forgotten = this.#recent.length > maxRecent ? this.#recent.shift() : undefined;
    if (forgotten !== undefined) this.#floor = forgotten.epoch;
  }

  /** Purges up to `epoch` may have been missed. */
  clear(epoch: number): void {
    this.store.purge({ all: true }, Number.POSITIVE_INFINITY);
    this.#recent.length = 0;
    this.#floor = epoch;
  }

  /** Stores an answer, unless it was asked for before a purge that names it. */
  keep(entry: Entry): void {
    const isOutdated =
      entry.epoch < this.#floor ||
      this.#recent.some(({ purge, epoch }) => entry.epoch < epoch && isPurged(entry, purge));
    if (isOutdated) this.store.remove(entry);
    else this.store.put(entry);
  }

  /** What is stored and can still be used, the least recently used first. */
  get usable(): readonly Entry[] {
    const now = this.clock.now();
    return [...this.store.entries()].filter((entry) => isOfUse(entry, now));
  }

  /** Takes in what was stored before, by another process; none of it was purged since. */
  restore(entries: readonly Entry[]): void {
    const now = this.clock.now();
    for (const entry of entries) {
      if (isOfUse(entry, now)) this.store.put({ ...entry, epoch: this.epoch });
    }
  }

  /** An answer is on its way that may be stored. */
  begin(url: string, intake: Intake): void {
    const intakes = this.#intakes.get(url);
    if (intakes === undefined) this.#intakes.set(url, new Set([intake]));
    else intakes.add(intake);
  }

  /** It has come, or will not. */
  end(url: string, intake: Intake): void {
    const intakes = this.#intakes.get(url);
    intakes?.delete(intake);
    if (intakes?.size === 0) this.#intakes.delete(url);
  }

  /** What a URL answers has changed: stored answers go, and those on their way are not stored. */
  invalidate(url: string): void {
    this.store.invalidate(url);
    for (const intake of this.#intakes.get(url) ?? []) intake.outdate();
  }
}

/** It is fresh, may be used stale, or can be asked about. */
function isOfUse(entry: Entry, now: number): boolean {
  const { staleWhileRevalidateMs, staleIfErrorMs } = entry.freshness;
  const left = remainingMs(entry.freshness, now) + Math.max(staleWhileRevalidateMs, staleIfErrorMs);
  return left > 0 || validators(entry) !== undefined;
}

/**
 * Declares a cache for the answers of upstreams.
 * @example defineProxy({ path: "/catalogue/*", upstream: catalogue, cache: responseCache({}) })
 * @throws {TypeError} for sizes that cannot work.
 */
export function responseCache(options: ResponseCacheOptions = {}): ResponseCache {
  return new ResponseCache(options);
}
