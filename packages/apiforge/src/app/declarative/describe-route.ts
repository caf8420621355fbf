import type { LimitPolicy, PlacedStage, Route, StageName } from "../../edge/index.ts";
import type { CompiledGateway } from "./compile.ts";
import { wayTexts } from "./describe-way.ts";
import type { PlacedRoutes } from "./routes.ts";

/** What one stage does on a route. */
export interface StageLine {
  /** Its place, or the name of a stage of the application. */
  readonly stage: string;
  readonly does: string;
  /** Statuses that it may answer with. */
  readonly answers: readonly number[];
}

const callers = {
  jwt: "a token",
  key: "an API key",
  any: "a token or an API key",
  certificate: "a client certificate",
  optional: "anybody; a token or key that is sent must be good",
  none: "anybody",
} as const;

/** Who may call a route, in words. */
export function callerOf({ auth, certificate, roles, scopes }: Route): string {
  const parts: string[] = [callers[auth]];
  if (certificate === "required") parts.push("a client certificate");
  if (roles !== undefined) parts.push(`role ${roles.join(" or ")}`);
  if (scopes.length > 0) parts.push(`scope ${scopes.join(" and ")}`);
  return parts.join(", ");
}

/** A limit in words: `600 per 1m by principal`. */
export function limitText({ limit, per, by }: LimitPolicy): string {
  const whom = typeof by === "function" ? "a function" : [by].flat().join(" and ");
  return `${limit.toLocaleString("en-US")} per ${per} by ${whom}`;
}

/** What a request of `route` passes, in order; `everywhere` are the limits of the whole gateway. */
export function stageLines(
  route: Route,
  gateway: CompiledGateway,
  everywhere: readonly LimitPolicy[],
): StageLine[] {
  const limits = [...everywhere, ...route.limits];
  const lines: [StageName, readonly StageLine[]][] = [
    ["guard", [line("guard", "framing, Host and target are sound", 400, 414, 431)]],
    ["correlate", [line("correlate", "has a request id, and its place in the caller's trace")]],
    ["route", [line("route", `${route.method} ${route.path}`, 404, 405)]],
    ["version", versionLines(route)],
    ["cors", corsLines(route, gateway)],
    [
      "authenticate",
      [...limitLines("authenticate", limits.filter(isEarly)), ...callerLines(route)],
    ],
    ["authorize", rightsLines(route)],
    ["admit", admitLines(route, limits, gateway)],
    ["receive", receiveLines(route)],
    ["validate", validateLines(route)],
    ["idempotency", idempotencyLines(route)],
    ["backend", backendLines(route, gateway)],
  ];
  return lines.flatMap(([place, own]) => [...own, ...addedLines(place, route, gateway.stages)]);
}

function line(stage: string, does: string, ...answers: readonly number[]): StageLine {
  return { stage, does, answers };
}

function isEarly(policy: LimitPolicy): boolean {
  return policy.isEarly;
}

function limitLines(stage: string, limits: readonly LimitPolicy[]): StageLine[] {
  return limits.map((policy) => line(stage, `limit ${policy.name}: ${limitText(policy)}`, 429));
}

function versionLines({ version, deprecated, etag }: Route): StageLine[] {
  const parts = [
    ...(version === undefined ? [] : [line("version", `version ${version}`, 404)]),
    ...(deprecated === undefined ? [] : [line("version", "deprecated", 410)]),
    ...(etag ? [line("version", "ETag, and 304 for who has it", 304, 412)] : []),
  ];
  return parts;
}

function corsLines(route: Route, { cors }: CompiledGateway): StageLine[] {
  const policy = route.cors ?? cors;
  if (policy === undefined || policy === false) return [];
  const { origins } = policy;
  return [line("cors", `pages of ${origins === "*" ? "every origin" : origins.join(", ")}`)];
}

function callerLines(route: Route): StageLine[] {
  if (route.auth === "none") return [];
  const needed = { ...route, roles: undefined, scopes: [] };
  return [line("authenticate", callerOf(needed), 401, 503)];
}

function rightsLines({ roles, scopes }: Route): StageLine[] {
  return [
    ...(roles === undefined ? [] : [line("authorize", `role ${roles.join(" or ")}`, 403)]),
    ...(scopes.length === 0 ? [] : [line("authorize", `scope ${scopes.join(" and ")}`, 403)]),
  ];
}

function admitLines(
  { maxInFlight, auth }: Route,
  limits: readonly LimitPolicy[],
  { limits: server }: CompiledGateway,
): StageLine[] {
  const plans = auth === "none" ? [] : Object.keys(server?.plans ?? {});
  const late = limits.filter((policy) => !policy.isEarly);
  return [
    ...limitLines("admit", late),
    ...(plans.length === 0 ? [] : [line("admit", `limits of the plan: ${plans.join(", ")}`, 429)]),
    ...(maxInFlight === undefined ? [] : [line("admit", `${maxInFlight} at once`, 429)]),
  ];
}

function receiveLines({ method, body, relay, maxBodyBytes }: Route): StageLine[] {
  if (method === "GET") return [];
  const bytes = `up to ${maxBodyBytes.toLocaleString("en-US")} bytes`;
  if (body === undefined && relay !== undefined) {
    return [line("receive", `a body of any type, ${bytes}, passed on as it arrives`, 413)];
  }
  if (body === undefined) return [line("receive", "no body", 413, 415)];
  const type = body === "bytes" ? "any type" : "JSON";
  return [line("receive", `a body of ${type}, ${bytes}`, 400, 413, 415)];
}

function validateLines(route: Route): StageLine[] {
  const parts = (["params", "query", "headers", "body"] as const).filter(
    (part) => route[part] !== undefined && route[part] !== "bytes",
  );
  if (parts.length === 0) return [];
  return [line("validate", `${parts.join(", ")} by their schemas`, 400)];
}

function idempotencyLines({ idempotency }: Route): StageLine[] {
  if (idempotency === "none") return [];
  return [line("idempotency", `Idempotency-Key, ${idempotency}`, 400, 409, 422)];
}

function backendLines(route: Route, gateway: CompiledGateway): StageLine[] {
  const { options } = placeOf(route, gateway) ?? {};
  const ways = options === undefined ? [] : wayTexts(options);
  return [
    line("backend", backendText(route, gateway), ...backendStatuses(route)),
    ...ways.map((text) => line("backend", text)),
  ];
}

function placeOf(route: Route, { placed }: CompiledGateway): PlacedRoutes | undefined {
  return placed.find(({ routes }) => routes.includes(route));
}

/** Where requests of a route end. */
export function backendText(route: Route, gateway: CompiledGateway): string {
  const { entry } = placeOf(route, gateway) ?? {};
  if (entry !== undefined) return `upstream ${entry.upstream}`;
  return route.relay === undefined ? "handler" : "upstream";
}

function backendStatuses({ relay }: Route): readonly number[] {
  return relay === undefined ? [] : [502, 503, 504];
}

function addedLines(place: StageName, route: Route, stages: readonly PlacedStage[]): StageLine[] {
  const here = stages.filter(({ after, stage }) => after === place && stage(route) !== undefined);
  return here.map(({ name }) => line(name, "a stage of this gateway"));
}
