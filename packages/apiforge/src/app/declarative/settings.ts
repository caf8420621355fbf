import { defaultCacheName, type ProxyOptions } from "../../gateway/index.ts";
import type { GatewayConfig, PolicyConfig, RouteConfig } from "./gateway-config.ts";
import { headsOf } from "./heads.ts";
import { asSchema } from "./json-schema.ts";
import { namedLimits, scopeOf } from "./limits.ts";

/** What a route's own words, those of its policies and the defaults come to; names are not looked up. */
export type RouteSettings = Omit<ProxyOptions, "upstream" | NamedSettings> &
  Pick<PolicyConfig, NamedSettings>;
type NamedSettings = "cache" | "canaries" | "shadow";

/** @see {RouteSettings} */
export function settingsOf(
  entry: RouteConfig,
  { policies = {}, defaults = {} }: GatewayConfig,
): RouteSettings {
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
    ...headsOf(layers.map(([, layer]) => layer)),
    ...schemasOf(entry),
    limits,
    stripPrefix: prefixOf(entry) ?? "",
  };
}

/** What of a request a route may check. */
export const schemaNames = ["params", "query", "headers", "body"] as const;

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

/** The name of the cache that is wanted; undefined for none. */
export function cacheName(wanted: PolicyConfig["cache"]): string | undefined {
  return wanted === true ? defaultCacheName : wanted || undefined;
}
