import type { GatewayConfig, PolicyConfig, RouteConfig } from "./gateway-config.ts";
import { nearest } from "./nearest.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import { isObject } from "./shape.ts";

/** Where policies and routes name something. */
type PolicyNames = "cache" | "canaries" | "shadow";

/** Whatever else is wrong with an entry, the names in it must be those of something. */
export function refuseUnknownNames(
  entry: Pick<RouteConfig, "upstream" | "policies"> & Pick<PolicyConfig, PolicyNames>,
  at: ConfigPath,
  config: GatewayConfig,
  problems: Problems,
): void {
  const { upstream, policies = [] } = entry;
  refuseUnknown(upstream, "upstream", config.upstreams, [...at, "upstream"], problems);
  refuseUnknownInPolicy(entry, at, config, problems);
  if (!Array.isArray(policies)) return;
  for (const [place, name] of policies.entries()) {
    refuseUnknown(name, "policy", config.policies, [...at, "policies", place], problems);
  }
}

/** The names in policies and defaults, likewise. */
export function refuseUnknownInPolicies(config: GatewayConfig, problems: Problems): void {
  const { policies, defaults } = config;
  if (isObject(defaults)) refuseUnknownInPolicy(defaults, ["defaults"], config, problems);
  for (const [name, policy] of Object.entries(isObject(policies) ? policies : {})) {
    if (isObject(policy)) refuseUnknownInPolicy(policy, ["policies", name], config, problems);
  }
}

function refuseUnknownInPolicy(
  { cache, canaries, shadow }: Pick<PolicyConfig, PolicyNames>,
  at: ConfigPath,
  config: GatewayConfig,
  problems: Problems,
): void {
  refuseUnknown(cache, "cache", config.caches, [...at, "cache"], problems);
  const others = [
    ...(Array.isArray(canaries)
      ? canaries.map((canary: unknown, place) => [["canaries", place], canary] as const)
      : []),
    [["shadow"], shadow] as const,
  ];
  for (const [path, other] of others) {
    if (!isObject(other)) continue;
    const name = other["upstream"];
    refuseUnknown(name, "upstream", config.upstreams, [...at, ...path, "upstream"], problems);
  }
}

function refuseUnknown(
  name: unknown,
  kind: string,
  known: object | undefined,
  at: ConfigPath,
  problems: Problems,
): void {
  const names = Object.keys(known ?? {});
  // Another problem where it is no text.
  if (typeof name !== "string" || names.includes(name)) return;
  const meant = nearest(name, names);
  const there = names.length === 0 ? "there is none" : `there is ${names.join(", ")}`;
  const remedy =
    meant === undefined
      ? `Declare it, or name another; ${there}.`
      : `Write ${meant}, or declare it.`;
  problems.add(at, `names no ${kind}`, remedy);
}
