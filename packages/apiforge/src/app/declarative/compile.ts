import {
  createTokenVerifier,
  LeaseDesk,
  LimitBook,
  type CorsOptions,
  type PlacedStage,
  type Route,
  type ServerLimits,
  type TrustedIssuer,
} from "../../edge/index.ts";
import { upstream as createUpstream, type Upstream } from "../../gateway/index.ts";
import { systemClock } from "../../kernel/index.ts";
import { settingName, type Config } from "../config.ts";
import { cachesOf, type MakeCache, type PlannedCache } from "./caches.ts";
import { gatewayShape } from "./config-shape.ts";
import type { GatewayConfig, IssuerConfig, UpstreamConfig } from "./gateway-config.ts";
import { refuseUnknownInPolicies } from "./names.ts";
import { makeRoutes, placeEntries } from "./place-routes.ts";
import { revisionPath } from "./revision.ts";
import { serverLimits } from "./limits.ts";
import { pathText, Problems, type ConfigProblem } from "./problem.ts";
import { isRouteConfig, type PlacedRoutes } from "./routes.ts";

/** A configuration that can be served. */
export interface CompiledGateway {
  readonly config: GatewayConfig;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** Those that data names, each with what it was made for. */
  readonly caches: readonly PlannedCache[];
  readonly routes: readonly Route[];
  /** The same, by where they stand. */
  readonly placed: readonly PlacedRoutes[];
  readonly stages: readonly PlacedStage[];
  readonly issuers: readonly TrustedIssuer[];
  readonly limits: ServerLimits | undefined;
  readonly cors: CorsOptions | undefined;
}

/** How what has state comes to be: by `make`, or it is there already. */
export interface Makers {
  readonly upstream: (name: string, config: UpstreamConfig, make: () => Upstream) => Upstream;
  readonly cache: MakeCache;
}

const makeAll: Makers = {
  upstream: (_name, _config, make) => make(),
  cache: (_plan, make) => make(),
};

/** What came of a configuration: something to serve, or everything that is wrong. */
export type Compiled =
  | { readonly gateway: CompiledGateway; readonly problems: readonly [] }
  | { readonly gateway: undefined; readonly problems: readonly ConfigProblem[] };

/** Paths that every server has. */
const ownPaths = [
  "/health/live",
  "/health/ready",
  "/openapi.json",
  "/docs",
  "/metrics",
  "/.well-known/jwks.json",
];

/**
 * Checks the whole of `given` and makes of it what is served; nothing of it is open yet. Goes on after a
 * problem, so that one look finds all of them.
 * @param settings what the environment says.
 * @param makers default: all is made anew.
 */
export function compileGateway(
  given: unknown,
  settings: Config,
  makers: Makers = makeAll,
): Compiled {
  const problems = new Problems();
  gatewayShape(given, [], problems);
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return { gateway: undefined, problems: problems.inOrder() };
  }
  // Each part is read only where its shape was found to be sound.
  const config = given as GatewayConfig;
  const upstreams = upstreamsOf(config, problems, makers.upstream);
  refuseUnknownInPolicies(config, problems);
  const entries = placeEntries(config, problems);
  const sound = entries.flatMap(({ data, isSound }) =>
    isSound && isRouteConfig(data) ? data : [],
  );
  const caches = cachesOf(config, sound, problems, makers.cache);
  const placed = makeRoutes(entries, { config, upstreams, caches, problems });
  refuseTwins(placed, config.shown === true ? [...ownPaths, revisionPath] : ownPaths, problems);
  refuseMissingAuthorities(placed, settings, problems);
  const limits = problems.hasAt(["limits"]) ? undefined : serverLimits(config.limits);
  countLimits(placed, limits, problems);
  const issuers = issuersOf(config, problems);
  refuseStageTwins(config, problems);
  if (problems.list.length > 0) return { gateway: undefined, problems: problems.inOrder() };
  return {
    gateway: {
      config,
      upstreams,
      caches: [...caches.values()],
      routes: placed.flatMap(({ routes }) => routes),
      placed,
      stages: config.stages ?? [],
      issuers,
      limits,
      cors: config.cors,
    },
    problems: [],
  };
}

function upstreamsOf(
  { upstreams }: GatewayConfig,
  problems: Problems,
  makeUpstream: Makers["upstream"],
): ReadonlyMap<string, Upstream> {
  const made = new Map<string, Upstream>();
  if (problems.hasAt(["upstreams"]) && typeof upstreams !== "object") return made;
  const entries = Object.entries(upstreams);
  if (entries.length === 0) {
    problems.add(["upstreams"], "is empty", "Declare at least one service.");
  }
  for (const [name, config] of entries) {
    const at = ["upstreams", name];
    if (problems.hasAt(at)) continue;
    try {
      made.set(
        name,
        makeUpstream(name, config, () => createUpstream({ name, ...config })),
      );
    } catch (error) {
      problems.addError(at, error);
    }
  }
  return made;
}

function refuseTwins(
  placed: readonly PlacedRoutes[],
  taken: readonly string[],
  problems: Problems,
): void {
  const owners = new Map(
    taken.map((path): [string, string] => [`GET ${path} `, "every server has of its own"]),
  );
  for (const { at, claims } of placed) {
    const twins = new Map<string, string>();
    for (const { method, path, version = "" } of claims) {
      const key = `${method} ${path.replaceAll(/:\w+/g, ":")} ${version}`;
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, `${pathText(at)} has too`);
      else twins.set(owner, [twins.get(owner), method].filter(Boolean).join(", "));
    }
    for (const [owner, methods] of twins) {
      const remedy = "Change one of the paths, or name the methods of each.";
      problems.add(at, `has a path for ${methods} that ${owner}`, remedy);
    }
  }
}

function refuseMissingAuthorities(
  placed: readonly PlacedRoutes[],
  settings: Config,
  problems: Problems,
): void {
  if (settings.clientCaFile !== undefined) return;
  for (const { at, routes } of placed) {
    const asks = routes.some(
      ({ auth, certificate }) => auth === "certificate" || certificate === "required",
    );
    if (!asks) continue;
    const name = settingName("clientCaFile");
    problems.add(at, "asks for a client certificate, but nobody's are trusted", `Set ${name}.`);
  }
}

/** Two limits of one name must be one; the book that will count them knows. */
function countLimits(
  placed: readonly PlacedRoutes[],
  limits: ServerLimits | undefined,
  problems: Problems,
): void {
  const desk = new LeaseDesk({ lease: async () => [] });
  let book: LimitBook;
  try {
    book = new LimitBook(systemClock, limits ?? {}, { desk });
  } catch (error) {
    return problems.addError(["limits"], error);
  }
  for (const { at, routes } of placed) {
    for (const route of routes) {
      try {
        book.ofRoute(route);
      } catch (error) {
        problems.addError([...at, "limits"], error);
        break;
      }
    }
  }
}

function issuersOf({ issuers = [] }: GatewayConfig, problems: Problems): readonly TrustedIssuer[] {
  if (problems.hasAt(["issuers"])) return [];
  const trusted = issuers.map(trustedIssuer);
  for (const [place, issuer] of trusted.entries()) {
    try {
      createTokenVerifier({ issuers: [issuer], introspection: undefined, clock: systemClock });
    } catch (error) {
      problems.addError(["issuers", place], error);
    }
  }
  return trusted;
}

function trustedIssuer({ jwks, audience, ...rest }: IssuerConfig): TrustedIssuer {
  return { ...rest, audience, jwks: typeof jwks === "string" ? new URL(jwks) : jwks };
}

function refuseStageTwins({ stages = [] }: GatewayConfig, problems: Problems): void {
  if (problems.hasAt(["stages"])) return;
  const names = new Set<string>();
  for (const [place, { name }] of stages.entries()) {
    if (names.has(name)) {
      problems.add(
        ["stages", place],
        "has the name of another stage",
        "Give it a name of its own.",
      );
    }
    names.add(name);
  }
}
