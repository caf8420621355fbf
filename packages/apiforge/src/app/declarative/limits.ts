import { hash } from "node:crypto";

import type { Auth, LimitOptions, ServerLimits } from "../../edge/index.ts";
import type { GatewayLimits, LimitsConfig, RequestRates, RouteConfig } from "./gateway-config.ts";

const windows = [
  ["perSecond", "per-second", "1s"],
  ["perMinute", "per-minute", "1m"],
  ["perHour", "per-hour", "1h"],
  ["perDay", "per-day", "day"],
  ["perMonth", "per-month", "month"],
] as const;

const longestScope = 32;

/**
 * `given` as limits with names, which begin with `scope`. `auth` tells whom those count that do not say it:
 * two routes of one policy, one of which needs no caller, have a count each.
 */
export function namedLimits(
  given: LimitsConfig | undefined,
  scope: string,
  auth?: Auth,
): readonly LimitOptions[] {
  if (given === undefined) return [];
  if (isList(given)) return given;
  const { by } = given;
  const suffix = by === undefined && auth === "none" ? "-by-address" : "";
  return windows.flatMap(([field, words, per]) => {
    const limit = given[field];
    if (limit === undefined) return [];
    return { name: `${scope}-${words}${suffix}`, limit, per, ...(by === undefined ? {} : { by }) };
  });
}

/** What limits of a route are called by: its path in letters, and its methods where it names them. */
export function scopeOf({ path, methods }: Pick<RouteConfig, "path" | "methods">): string {
  const words = [...(methods ?? []), ...path.split(/\W+/)].filter((word) => word !== "");
  const scope = words.join("-").toLowerCase().replaceAll("_", "-") || "root";
  if (scope.length <= longestScope) return scope;
  return `${scope.slice(0, longestScope - 7)}-${hash("sha256", scope).slice(0, 6)}`;
}

/** The limits of the whole server. */
export function serverLimits(given: GatewayLimits | undefined): ServerLimits | undefined {
  if (given === undefined) return undefined;
  const { everywhere, plans = {}, ...rest } = given;
  const named = Object.entries(plans).map(([plan, limits]): [string, readonly LimitOptions[]] => [
    plan,
    namedLimits(limits, `plan-${plan.toLowerCase().replaceAll("_", "-")}`),
  ]);
  return {
    ...rest,
    limits: namedLimits(everywhere, "everywhere"),
    plans: Object.fromEntries(named),
  };
}

function isList(limits: RequestRates | readonly LimitOptions[]): limits is readonly LimitOptions[] {
  return Array.isArray(limits);
}
