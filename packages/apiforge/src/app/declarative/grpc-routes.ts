import { defineGrpc, type GrpcOptions } from "../../gateway/index.ts";
import { grpcPolicyFields } from "./config-shape.ts";
import type { GatewayConfig, GrpcConfig, GrpcPolicy, PolicyConfig } from "./gateway-config.ts";
import { namedLimits, scopeOf } from "./limits.ts";
import type { ConfigPath, Problems } from "./problem.ts";
import { noRoutes, type Claim, type MadeRoutes, type RouteParts } from "./routes.ts";
import { isObject } from "./shape.ts";

const known: ReadonlySet<string> = new Set(Object.keys(grpcPolicyFields));

/** True for a service of gRPC that is described by data. */
export function isGrpcConfig(entry: unknown): entry is GrpcConfig {
  return isObject(entry) && "grpc" in entry && !("handler" in entry);
}

/** What a service wants to answer, as far as it can be read. */
export function grpcClaimsOf({ grpc, methods = [":method"] }: GrpcConfig): readonly Claim[] {
  if (!Array.isArray(methods)) return [];
  return methods.map((name) => ({ method: "POST", path: `/${grpc}/${name}` }));
}

/** What only a request of HTTP has, a named policy must not say: it would count for nothing. */
export function refuseOtherWords(
  { policies = [] }: GrpcConfig,
  at: ConfigPath,
  config: GatewayConfig,
  problems: Problems,
): void {
  if (!Array.isArray(policies) || !isObject(config.policies)) return;
  for (const [place, name] of policies.entries()) {
    const policy: unknown = config.policies[String(name)];
    const others = isObject(policy) ? Object.keys(policy).filter((word) => !known.has(word)) : [];
    if (others.length === 0) continue;
    const problem = `says ${others.join(", ")}, which a service of gRPC cannot have`;
    problems.add([...at, "policies", place], problem, "Name a policy without it.");
  }
}

/** The routes of a service whose shape is sound and whose names are known; none when something else is wrong with it. */
export function grpcRoutesOf(entry: GrpcConfig, at: ConfigPath, parts: RouteParts): MadeRoutes {
  const { upstreams, config, problems } = parts;
  const upstream = upstreams.get(entry.upstream);
  if (upstream === undefined) return noRoutes;
  try {
    const options: GrpcOptions = { ...settingsOf(entry, config), service: entry.grpc, upstream };
    return { routes: defineGrpc(options), options: undefined };
  } catch (error) {
    problems.addError(at, error);
    return noRoutes;
  }
}

function settingsOf(
  entry: GrpcConfig,
  { policies = {}, defaults = {} }: GatewayConfig,
): Omit<GrpcOptions, "service" | "upstream"> {
  const { grpc, policies: names = [], upstream: _name, limits: _limits, ...own } = entry;
  const scope = scopeOf({ path: `/${grpc}` });
  const layers: readonly (readonly [scope: string, GrpcPolicy])[] = [
    ["default", wordsOf(defaults)],
    ...names.map((name): [string, GrpcPolicy] => [name, wordsOf(policies[name] ?? {})]),
    [scope, entry],
  ];
  const { limits: _all, ...settings } = Object.assign(
    {},
    ...layers.map(([, layer]) => layer),
  ) as GrpcPolicy;
  const limits = layers.flatMap(([name, layer]) => namedLimits(layer.limits, name, settings.auth));
  return { ...settings, ...own, limits };
}

/** What of a policy counts for a service of gRPC. */
function wordsOf(policy: PolicyConfig): GrpcPolicy {
  return Object.fromEntries(Object.entries(policy).filter(([word]) => known.has(word)));
}
