import { newId, type Clock, type Log, type Metric, type Timer } from "../../kernel/index.ts";
import type { Durable, Transaction } from "../../durable/index.ts";
import { publicTenant } from "../auth/principal.ts";
import type { Exchange } from "../exchange.ts";
import type { Route } from "../route.ts";

/** Where usage is kept. */
export type UsageStore = Pick<Durable, "transact">;

const flushAfterMs = 10_000;
// About 2 MB. Of callers beyond them only how often they called is known.
const maxEntries = 10_000;
const othersName = "(others)";
const dayMs = 86_400_000;

/** What one caller did to one route on one day, since it was last written. */
interface Entry {
  readonly route: string;
  readonly tenant: string;
  readonly consumer: string;
  readonly day: number;
  requests: number;
  lastAt: number;
}

/**
 * Counts the requests of deprecated routes by caller. What was counted is written to
 * `forge_deprecated_usage` every 10 s, and when the server stops; a crash loses what came after.
 */
export class UsageBook {
  readonly #store: UsageStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #totals = new Map<Route, number>();
  #entries = new Map<string, Entry>();
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: UsageStore, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  /** Counts one answer of `route`, which is deprecated. */
  count(route: Route, { principal }: Exchange): void {
    this.#totals.set(route, (this.#totals.get(route) ?? 0) + 1);
    // Who was refused before it was known is nobody to tell.
    if (principal === undefined && route.auth === "jwt") return;
    const consumer = principal?.credentialId ?? principal?.subject ?? "";
    this.#add(nameOf(route), principal?.tenant ?? publicTenant, consumer, 1, this.#clock.now());
    this.#timer ??= this.#clock.after(flushAfterMs, () => void this.flush());
  }

  /** Writes what has been counted; what could not be written is tried again with what comes after. */
  flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** How often deprecated routes were called, since this process began. */
  readonly metrics = (): readonly Metric[] => {
    const samples = [...this.#totals].map(([{ method, path, version = "" }, value]) => ({
      labels: { method, route: path, version },
      value,
    }));
    const help =
      "Requests of routes that are deprecated; who sent them is in forge_deprecated_usage.";
    return [{ name: "apiforge_deprecated_requests_total", help, type: "counter", samples }];
  };

  async #write(): Promise<void> {
    const entries = [...this.#entries.values()];
    if (entries.length === 0) return;
    this.#entries = new Map();
    const actor = { tenant: publicTenant, requestId: newId("req") };
    try {
      await this.#store.transact("deprecated usage", actor, (tx) => addAll(tx, entries));
    } catch (error) {
      this.#log.warn({ err: error }, "usage of deprecated routes is not written; trying again");
      for (const { route, tenant, consumer, requests, lastAt } of entries) {
        this.#add(route, tenant, consumer, requests, lastAt);
      }
      this.#timer ??= this.#clock.after(flushAfterMs, () => void this.flush());
    }
  }

  #add(route: string, tenant: string, consumer: string, requests: number, at: number): void {
    const day = Math.floor(at / dayMs);
    const key = keyOf(route, tenant, consumer, day);
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      entry.requests += requests;
      entry.lastAt = Math.max(entry.lastAt, at);
    } else if (this.#entries.size < maxEntries || consumer === othersName) {
      this.#entries.set(key, { route, tenant, consumer, day, requests, lastAt: at });
    } else {
      this.#add(route, tenant, othersName, requests, at);
    }
  }
}

function keyOf(route: string, tenant: string, consumer: string, day: number): string {
  return JSON.stringify([route, tenant, consumer, day]);
}

function nameOf({ method, path, version }: Route): string {
  return version === undefined ? `${method} ${path}` : `${method} ${path} ${version}`;
}

async function addAll(tx: Transaction, entries: readonly Entry[]): Promise<void> {
  // In one order, so that two nodes that write at once do not wait for each other in a circle.
  const ordered = entries.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  for (const { route, tenant, consumer, day, requests, lastAt } of ordered) {
    await tx.sql`
      insert into forge_deprecated_usage (route, tenant, consumer, day, requests, last_at)
      values (${route}, ${tenant}, ${consumer}, ${day}, ${requests}, ${lastAt})
      on conflict (route, tenant, consumer, day) do update set
        requests = forge_deprecated_usage.requests + excluded.requests,
        last_at = excluded.last_at`;
  }
}

function sortKey({ route, tenant, consumer, day }: Entry): string {
  return keyOf(route, tenant, consumer, day);
}
