import type { Route } from "../../edge/index.ts";
import { allMethods, defineProxy, type ProxyOptions, type Upstream } from "../../gateway/index.ts";
import type { PlannedCache } from "./caches.ts";
import type {
  GatewayConfig,
  GrpcConfig,
  OpenApiConfig,
  RouteConfig,
  RouteEntry,
} from "./gateway-config.ts";
import { isObject } from "./shape.ts";
import { isSchema } from "./json-schema.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import { cacheName, prefixOf, schemaNames, settingsOf, type RouteSettings } from "./settings.ts";

/** Routes with the place of the configuration where they stand. */
export interface PlacedRoutes {
  readonly at: ConfigPath;
  /** Undefined for routes that functions made. */
  readonly entry: RouteConfig | GrpcConfig | undefined;
  readonly routes: readonly Route[];
  /** What they were made of, the policies' words included; undefined for others than proxied routes as data. */
  readonly options: ProxyOptions | undefined;
  /** What it wants to answer, even where it cannot be made a route. */
  readonly claims: readonly Claim[];
}

/** What belongs to one route only. */
export type Claim = Pick<Route, "method" | "path"> & { readonly version?: string | undefined };

/** What the routes of a configuration may name. */
export interface RouteParts {
  readonly config: GatewayConfig;
  /** Those without a problem. */
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Likewise. */
  readonly caches: ReadonlyMap<string, PlannedCache>;
  readonly problems: Problems;
}

/** The entries of a configuration that has none: see {@link GatewayConfig.routes}. */
export function impliedRoutes({ upstreams }: GatewayConfig): readonly RouteConfig[] {
  const names = Object.keys(upstreams);
  if (names.length === 1) return names.map((upstream) => ({ path: "/*", upstream }));
  return names.map((upstream) => ({ path: `/${upstream}/*`, upstream, stripPrefix: true }));
}

/** True for a route that is described by data. */
export function isRouteConfig(entry: unknown): entry is RouteConfig {
  return isObject(entry) && !["handler", "openapi", "grpc"].some((word) => word in entry);
}

/** True for a document of routes. */
export function isOpenApiConfig(entry: unknown): entry is OpenApiConfig {
  return isObject(entry) && "openapi" in entry;
}

/** What `entry` wants to answer, as far as it can be read. */
export function claimsOf(entry: unknown): readonly Claim[] {
  if (!isRouteConfig(entry)) return [entry].flat().filter(isRoute);
  const { path, methods = allMethods } = entry;
  if (typeof path !== "string" || !Array.isArray(methods)) return [];
  return methods.map((method) => ({ method, path }));
}

/** True for what `defineRoute` or `defineProxy` made. */
export function isRoute(value: unknown): value is Route {
  return typeof value === "object" && value !== null && "handler" in value;
}

/** Routes, with what they were made of. */
export type MadeRoutes = Pick<PlacedRoutes, "routes" | "options">;

/** Those of an entry that cannot be made any. */
export const noRoutes: MadeRoutes = { routes: [], options: undefined };

/** The routes of an entry whose shape is sound and whose names are known; none when something else is wrong with it. */
export function routesOf(
  entry: Exclude<RouteEntry, OpenApiConfig | GrpcConfig>,
  at: ConfigPath,
  parts: RouteParts,
): MadeRoutes {
  if (!isRouteConfig(entry)) return { routes: [entry].flat(), options: undefined };
  const { problems } = parts;
  const strips = prefixFits(entry, at, problems);
  const fits = refuseBadSchemas(entry, at, problems);
  const settings = settingsOf(entry, parts.config);
  const isPlain = refuseCachedCanaries(settings, at, problems);
  const named = namedParts(entry, settings, parts);
  if (!strips || !fits || !isPlain || named === undefined) return noRoutes;
  try {
    const { cache: _cache, canaries: _canaries, shadow: _shadow, ...own } = settings;
    const options = { ...own, ...named };
    return { routes: defineProxy(options), options };
  } catch (error) {
    problems.addError(at, error);
    return noRoutes;
  }
}

type NamedParts = Pick<ProxyOptions, "upstream" | "cache" | "canaries" | "shadow">;

/** What a route names, looked up; undefined when something is wrong with one of them. */
function namedParts(
  entry: RouteConfig,
  { cache, canaries = [], shadow }: RouteSettings,
  { upstreams, caches }: RouteParts,
): NamedParts | undefined {
  const behind = <T extends { readonly upstream: string }>(naming: T) => {
    const upstream = upstreams.get(naming.upstream);
    return upstream === undefined ? [] : [{ ...naming, upstream }];
  };
  const upstream = upstreams.get(entry.upstream);
  const others = canaries.flatMap(behind);
  const copies = shadow ? behind(shadow) : [];
  const name = cacheName(cache);
  const kept = name === undefined ? undefined : caches.get(name);
  const isMissing =
    others.length < canaries.length ||
    (shadow && copies.length === 0) ||
    (name !== undefined && kept === undefined);
  if (upstream === undefined || isMissing) return undefined;
  return {
    upstream,
    ...(kept && { cache: kept.cache }),
    ...(others.length === 0 ? {} : { canaries: others }),
    ...(copies[0] && { shadow: copies[0] }),
  };
}

function refuseCachedCanaries(
  { cache, canaries = [] }: RouteSettings,
  at: ConfigPath,
  problems: Problems,
): boolean {
  if (cacheName(cache) === undefined || canaries.length === 0) return true;
  problems.add(
    [...at, "canaries"],
    "do not go together with a cache, which would give one caller's canary to all others",
    "Take one of them away: cache: false or canaries: [] where a policy has it.",
  );
  return false;
}

function prefixFits(entry: RouteConfig, at: ConfigPath, problems: Problems): boolean {
  const prefix = prefixOf(entry);
  if (prefix === undefined) return true;
  const path = [...at, "stripPrefix"];
  if (entry.stripPrefix === true && prefix.includes(":")) {
    problems.add(path, "cannot take parameters away", "Write the literal part of the path.");
    return false;
  }
  if (entry.path === prefix || entry.path.startsWith(prefix)) return true;
  problems.add(path, "is not how the route's path begins", "Write the beginning of its path.");
  return false;
}

function refuseBadSchemas(entry: RouteConfig, at: ConfigPath, problems: Problems): boolean {
  const replies = Object.entries(entry.replies ?? {}).map(
    ([status, schema]) => [["replies", status], schema] as const,
  );
  const named = schemaNames.map((name) => [[name], entry[name]] as const);
  return [...named, ...replies]
    .map(([path, schema]) => {
      if (schema === "bytes" || schema === undefined || schema === null) return true;
      return isSchema(schema, [...at, ...path], problems);
    })
    .every(Boolean);
}
