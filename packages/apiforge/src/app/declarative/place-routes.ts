import { grpcShape, openApiShape, routeShape } from "./config-shape.ts";
import type {
  GatewayConfig,
  GrpcConfig,
  OpenApiConfig,
  RouteConfig,
  RouteEntry,
} from "./gateway-config.ts";
import { grpcClaimsOf, grpcRoutesOf, isGrpcConfig, refuseOtherWords } from "./grpc-routes.ts";
import { refuseUnknownNames } from "./names.ts";
import { readOpenApi } from "./openapi-import.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import {
  claimsOf,
  impliedRoutes,
  isOpenApiConfig,
  isRoute,
  isRouteConfig,
  noRoutes,
  routesOf,
  type MadeRoutes,
  type PlacedRoutes,
  type RouteParts,
} from "./routes.ts";

/** An entry of the table with its place; a document's operations are one each. */
export interface PlacedEntry {
  readonly at: ConfigPath;
  readonly entry: Exclude<RouteEntry, OpenApiConfig>;
  /** The same where it is data. */
  readonly data: RouteConfig | GrpcConfig | undefined;
  /** Nothing is wrong with it, nor with the policies that it names. */
  readonly isSound: boolean;
}

/** Reads the table of routes and checks each entry's shape and the names in it. */
export function placeEntries(config: GatewayConfig, problems: Problems): PlacedEntry[] {
  const { routes, upstreams } = config;
  if (routes === undefined) {
    if (typeof upstreams !== "object" || upstreams === null) return [];
    return impliedRoutes(config).map((entry) => {
      const at = ["upstreams", entry.upstream];
      return { at, entry, data: entry, isSound: policiesAreSound(entry, problems) };
    });
  }
  if (!Array.isArray(routes)) return [];
  return routes.flatMap((entry: RouteEntry, place): PlacedEntry[] => {
    const at = ["routes", place];
    if (!isOpenApiConfig(entry)) return [placed(entry, at, config, problems)];
    openApiShape(entry, at, problems);
    refuseUnknownNames(entry, at, config, problems);
    if (problems.hasAt(at)) return [];
    return readOpenApi(entry, at, problems).map(({ pointer, route }) =>
      placed(route, [...at, pointer], config, problems),
    );
  });
}

/** The routes of the entries that nothing is wrong with, and what the others want to answer. */
export function makeRoutes(entries: readonly PlacedEntry[], parts: RouteParts): PlacedRoutes[] {
  return entries.map(({ at, entry, data, isSound }) => ({
    at,
    entry: data,
    claims: isGrpcConfig(entry) ? grpcClaimsOf(entry) : claimsOf(entry),
    ...(isSound ? madeOf(entry, at, parts) : noRoutes),
  }));
}

function madeOf(entry: PlacedEntry["entry"], at: ConfigPath, parts: RouteParts): MadeRoutes {
  return isGrpcConfig(entry) ? grpcRoutesOf(entry, at, parts) : routesOf(entry, at, parts);
}

function placed(
  entry: Exclude<RouteEntry, OpenApiConfig>,
  at: ConfigPath,
  config: GatewayConfig,
  problems: Problems,
): PlacedEntry {
  const data = isRouteConfig(entry) || isGrpcConfig(entry) ? entry : undefined;
  if (data === undefined) refuseForeign(entry, at, problems);
  else {
    if (isGrpcConfig(data)) {
      grpcShape(data, at, problems);
      refuseOtherWords(data, at, config, problems);
    } else routeShape(data, at, problems);
    refuseUnknownNames(data, at, config, problems);
  }
  return { at, entry, data, isSound: !problems.hasAt(at) && policiesAreSound(entry, problems) };
}

/** What is wrong with a policy is said once, where it stands. */
function policiesAreSound(entry: unknown, problems: Problems): boolean {
  if (!isRouteConfig(entry) && !isGrpcConfig(entry)) return true;
  if (problems.hasAt(["defaults"])) return false;
  return !(entry.policies ?? []).some((name) => problems.hasAt(["policies", name]));
}

function refuseForeign(entry: unknown, at: ConfigPath, problems: Problems): void {
  if ([entry].flat().every(isRoute)) return;
  problems.add(
    at,
    "is no route",
    "Write { path, upstream }, { grpc, upstream }, or what defineRoute or defineProxy makes.",
  );
}
