import { systemClock, type Clock } from "../../kernel/index.ts";
import type { Entry } from "./entry.ts";
import { FillRoom } from "./fill.ts";
import { Flights } from "./flights.ts";
import type { Intake } from "./intake.ts";
import { MemoryStore } from "./memory-store.ts";

/** Options of {@link responseCache}. */
export interface ResponseCacheOptions {
  /** Room for stored answers, with what is needed to find them; default 64 MiB. What was not used for longest goes first. */
  readonly maxBytes?: number;
  /** Larger bodies are passed on and not stored; default 1 MiB. */
  readonly maxEntryBytes?: number;
  /** Default the machine's. */
  readonly clock?: Clock;
}

const defaultMaxBytes = 67_108_864;
const defaultMaxEntryBytes = 1_048_576;
/** Of the room, what bodies may take that are still on their way. */
const fillShare = 0.25;

/** Answers of upstreams that are given again (RFC 9111), shared by the routes that are declared with it. */
export class ResponseCache {
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly flights = new Flights();
  readonly room: FillRoom;
  readonly #intakes = new Map<string, Set<Intake>>();

  constructor(options: ResponseCacheOptions) {
    const { maxBytes = defaultMaxBytes, maxEntryBytes = defaultMaxEntryBytes } = options;
    if (!(maxEntryBytes > 0 && maxEntryBytes <= maxBytes * fillShare)) {
      throw new TypeError("responseCache: maxEntryBytes is at most a quarter of maxBytes");
    }
    this.clock = options.clock ?? systemClock;
    this.store = new MemoryStore(maxBytes, maxEntryBytes);
    this.room = new FillRoom(maxBytes * fillShare);
  }

  /** The last purge that this node has seen. */
  get epoch(): number {
    return 0;
  }

  /** Stores an answer, unless it was asked for before a change that came since. */
  keep(entry: Entry): void {
    this.store.put(entry);
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

/**
 * Declares a cache for the answers of upstreams.
 * @example defineProxy({ path: "/catalogue/*", upstream: catalogue, cache: responseCache({}) })
 * @throws {TypeError} for sizes that cannot work.
 */
export function responseCache(options: ResponseCacheOptions = {}): ResponseCache {
  return new ResponseCache(options);
}
