import { configure } from "safe-stable-stringify";

import { responseCache, type ResponseCache } from "../../gateway/index.ts";
import type { CacheConfig, GatewayConfig, RouteConfig } from "./gateway-config.ts";
import type { Problems } from "./problem.ts";
import { digestOf } from "./revision.ts";
import { cacheName, settingsOf } from "./settings.ts";
import { isObject } from "./shape.ts";

/** A cache, and what it is made for. */
export interface PlannedCache {
  readonly cache: ResponseCache;
  readonly plan: CachePlan;
}

/** What decides whether a cache that is there may be used on. */
export interface CachePlan {
  readonly name: string;
  readonly config: CacheConfig;
  /** Of all that decides what its routes answer: what is stored under another one is no answer of theirs. */
  readonly version: string;
}

/** The cache of a plan: what `make` makes, or one that is there already. */
export type MakeCache = (plan: CachePlan, make: () => ResponseCache) => ResponseCache;

const stringify = configure({ bigint: false, maximumDepth: 64 });

/** The caches that sound routes want, by name; without those that cannot be. */
export function cachesOf(
  config: GatewayConfig,
  entries: readonly RouteConfig[],
  problems: Problems,
  makeCache: MakeCache,
): ReadonlyMap<string, PlannedCache> {
  const made = new Map<string, PlannedCache>();
  const declared = isObject(config.caches) ? config.caches : {};
  for (const [name, sizes] of Object.entries(declared)) {
    // Wanted by a route or not, what is wrong with it is said.
    if (problems.hasAt(["caches", name])) continue;
    try {
      responseCache({ name, ...sizes });
    } catch (error) {
      problems.addError(["caches", name], error);
    }
  }
  for (const [name, wanting] of wantedBy(config, entries)) {
    if (problems.hasAt(["caches", name])) continue;
    const sizes = declared[name] ?? {};
    const plan = { name, config: sizes, version: versionOf(wanting, config) };
    const make = (): ResponseCache => responseCache({ name, ...sizes, version: plan.version });
    made.set(name, { plan, cache: makeCache(plan, make) });
  }
  return made;
}

function wantedBy(
  config: GatewayConfig,
  entries: readonly RouteConfig[],
): ReadonlyMap<string, RouteConfig[]> {
  const wanted = new Map<string, RouteConfig[]>();
  for (const entry of entries) {
    const name = cacheName(settingsOf(entry, config).cache);
    if (name !== undefined) wanted.set(name, [...(wanted.get(name) ?? []), entry]);
  }
  return wanted;
}

function versionOf(wanting: readonly RouteConfig[], config: GatewayConfig): string {
  const parts = wanting.map((entry) => {
    const {
      // Who may ask, how often and how much decides nothing of what is answered.
      cors: _cors,
      critical: _critical,
      deprecated: _deprecated,
      idempotency: _idempotency,
      keyMode: _keyMode,
      limits: _limits,
      maxBodyBytes: _maxBodyBytes,
      maxInFlight: _maxInFlight,
      roles: _roles,
      scopes: _scopes,
      shadow: _shadow,
      stickyBy: _stickyBy,
      summary: _summary,
      tags: _tags,
      ...deciding
    } = settingsOf(entry, config);
    return [config.upstreams[entry.upstream]?.endpoints, deciding];
  });
  return digestOf([stringify(parts, functionsAsTexts) ?? ""]);
}

function functionsAsTexts(_key: string, value: unknown): unknown {
  return typeof value === "function" ? String(value) : value;
}
