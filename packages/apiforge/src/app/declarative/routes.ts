import type { Route } from "../../edge/index.ts";
import { allMethods, defineProxy, type ProxyOptions, type Upstream } from "../../gateway/index.ts";
import type {
  GatewayConfig,
  OpenApiConfig,
  PolicyConfig,
  RouteConfig,
  RouteEntry,
} from "./gateway-config.ts";
import { namedLimits, scopeOf } from "./limits.ts";
import { isObject } from "./shape.ts";
import { nearest } from "./nearest.ts";
import { asSchema, isSchema } from "./json-schema.ts";
import type { ConfigPath, Problems } from "./problem.ts";

/** Routes with the place of the configuration where they stand. */
export interface PlacedRoutes {
  readonly at: ConfigPath;
  /** Undefined for routes that functions made. */
  readonly entry: RouteConfig | undefined;
  readonly routes: readonly Route[];
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
  return isObject(entry) && !("handler" in entry) && !("openapi" in entry);
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

/** The routes of an entry whose shape is sound and whose names are known; none when something else is wrong with it. */
export function routesOf(
  entry: Exclude<RouteEntry, OpenApiConfig>,
  at: ConfigPath,
  parts: RouteParts,
): readonly Route[] {
  if (!isRouteConfig(entry)) return [entry].flat();
  const { problems, upstreams } = parts;
  const strips = prefixFits(entry, at, problems);
  const fits = refuseBadSchemas(entry, at, problems);
  const upstream = upstreams.get(entry.upstream);
  if (!strips || !fits || upstream === undefined) return [];
  try {
    return defineProxy(proxyOptions(entry, upstream, parts.config));
  } catch (error) {
    problems.addError(at, error);
    return [];
  }
}

function proxyOptions(
  entry: RouteConfig,
  upstream: Upstream,
  { policies = {}, defaults = {} }: GatewayConfig,
): ProxyOptions {
  const {
    policies: names = [],
    upstream: _name,
    stripPrefix: _prefix,
    limits: _limits,
    ...own
  } = entry;
  const layers: readonly (readonly [scope: string, PolicyConfig])[] = [
    ["default", defaults],
    ...names.map((name): [string, PolicyConfig] => [name, policies[name] ?? {}]),
    [scopeOf(entry), entry],
  ];
  const settings = Object.assign({}, ...layers.map(([, layer]) => layer)) as PolicyConfig;
  const limits = layers.flatMap(([scope, layer]) =>
    namedLimits(layer.limits, scope, settings.auth),
  );
  return {
    ...settings,
    ...own,
    ...schemasOf(entry),
    limits,
    upstream,
    stripPrefix: prefixOf(entry) ?? "",
  };
}

const schemaNames = ["params", "query", "headers", "body"] as const;

function schemasOf(
  entry: RouteConfig,
): Pick<ProxyOptions, (typeof schemaNames)[number] | "replies"> {
  const given = schemaNames.flatMap((name) => {
    const schema = entry[name];
    if (schema === undefined) return [];
    return [[name, schema === "bytes" ? schema : asSchema(schema)]];
  });
  const replies = Object.entries(entry.replies ?? {}).map(([status, schema]) => [
    status,
    schema === null ? null : asSchema(schema),
  ]);
  return {
    ...Object.fromEntries(given),
    ...(replies.length === 0 ? {} : { replies: Object.fromEntries(replies) }),
  };
}

/** What is taken away from the path's front. */
export function prefixOf({ stripPrefix, path }: RouteConfig): string | undefined {
  return stripPrefix === true ? path.replace(/\/\*$/, "") : stripPrefix;
}

/** Whatever else is wrong with an entry, the names in it must be those of something. */
export function refuseUnknownNames(
  { upstream, policies = [] }: Pick<RouteConfig, "upstream" | "policies">,
  at: ConfigPath,
  { config, problems }: Pick<RouteParts, "config" | "problems">,
): void {
  const refuse = (
    kind: string,
    known: object | undefined,
    name: unknown,
    path: ConfigPath,
  ): void => {
    const names = Object.keys(known ?? {});
    // Another problem where it is no text.
    if (typeof name === "string" && !names.includes(name)) {
      refuseName(name, path, kind, names, problems);
    }
  };
  refuse("upstream", config.upstreams, upstream, [...at, "upstream"]);
  if (!Array.isArray(policies)) return;
  for (const [place, name] of policies.entries()) {
    refuse("policy", config.policies, name, [...at, "policies", place]);
  }
}

function refuseName(
  name: string,
  at: ConfigPath,
  kind: string,
  known: readonly string[],
  problems: Problems,
): void {
  const meant = nearest(name, known);
  const there = known.length === 0 ? "there is none" : `there is ${known.join(", ")}`;
  const remedy =
    meant === undefined
      ? `Declare it, or name another; ${there}.`
      : `Write ${meant}, or declare it.`;
  problems.add(at, `names no ${kind}`, remedy);
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
