import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { JSONWebKeySet } from "jose";

import { evidenceOptions } from "./evidence.ts";
import { createDurable, type Durable, type QueueSettings } from "../durable/index.ts";
import {
  createDevIssuer,
  createEdge,
  createTokenVerifier,
  type ApiDescription,
  type CorsOptions,
  type Edge,
  type EdgeChanges,
  type EdgeOptions,
  type ErrorReporter,
  type IdentifyCertificate,
  type IntrospectionOptions,
  type OnError,
  type ServerLimits,
  type TokenVerifier,
  type TrustedIssuer,
  type VersionOptions,
} from "../edge/index.ts";
import { createKeyVerifier, KeyUsage, RevocationWatch } from "../features/identity/index.ts";
import type { Tokens } from "../features/tokens/index.ts";
import { systemClock, type Log, type MetricSource } from "../kernel/index.ts";
import type { Store } from "../store/index.ts";
import { authoriserOptions, type AuthoriserSettings } from "./authoriser.ts";
import { openCaches } from "./caches.ts";
import { readConfig, type Config } from "./config.ts";
import { createDeployment, type Deployment } from "./deployment.ts";
import { openLogs, type Logs } from "./log.ts";
import { keySecretPurpose } from "./keys/api-keys.ts";
import { openLeases, type Leases } from "./open-leases.ts";
import { openStore } from "./open-store.ts";
import { deploymentSecret } from "./secret.ts";
import { keysFailure, listenFailure, oneProcessOnly } from "./start-failure.ts";
import { clientCertificates, readTlsFiles, watchTlsFiles } from "./tls-files.ts";
import { mergeSystems, type System } from "./system.ts";
import { ownIssuer, tokenSystem } from "./token-system.ts";

/** Time that running jobs are given to end when the server stops. */
const drainMs = 10_000;

/** Options of {@link createForge}; what is absent is read from the environment. */
export interface ForgeOptions {
  readonly config?: Partial<Config>;
  /** What differs for single queues: reserved slots out of `config.jobTotalConcurrency`, a concurrency of their own. */
  readonly queues?: Readonly<Record<string, QueueSettings>>;
  /** Issuers whose tokens are accepted besides the configured one; see `issuers`. */
  readonly issuers?: readonly TrustedIssuer[];
  /** Who the holder of a client certificate is; default a subject and tenant of its own for each. */
  readonly identifyCertificate?: IdentifyCertificate;
  /** Who is asked about tokens that are no JWTs (RFC 7662); default nobody, and they are refused. */
  readonly introspection?: IntrospectionOptions;
  /** The deployment's own tokens: brings `POST /oauth/token`; see {@link Tokens}. Default none. */
  readonly tokens?: Tokens;
  /** How verified callers are remembered, and what is added to them. */
  readonly authoriser?: AuthoriserSettings;
  /** Pages of other origins that may call routes without a `cors` of their own; default none. */
  readonly cors?: CorsOptions;
  /** What `/openapi.json` and `/docs` say of the whole; default title `API`, version `0.0.0`. */
  readonly api?: ApiDescription;
  /** How callers say which version of a route they want; default routes have none. */
  readonly versions?: VersionOptions;
  /** Limits of the whole server, plans among them; those of a route stand on the route. */
  readonly limits?: ServerLimits;
  /** Default: pino to standard output at `config.logLevel`. */
  readonly log?: Log;
  /** Changes what callers are told of errors; default nothing. */
  readonly onError?: OnError;
  /** Told of errors that nobody made on purpose, for instance {@link sentryReporter}; default nobody. */
  readonly reporter?: ErrorReporter;
  /** Figures for `/metrics` beside APIForge's own; default none. */
  readonly metrics?: readonly MetricSource[];
  /** Which state of a configuration that changes this is; see `Edge.replace`. Default none. */
  readonly revision?: string;
}

/** What {@link Forge.replace} changes; what is absent has its default. */
export interface ForgeChanges extends Pick<
  EdgeChanges,
  "routes" | "stages" | "limits" | "cors" | "api" | "revision"
> {
  /** Issuers besides the configured one; the same list as before keeps what is remembered of callers. */
  readonly issuers?: readonly TrustedIssuer[];
}

/** A server over its systems. */
export interface Forge {
  readonly config: Config;
  /** Where it tells what happens. */
  readonly log: Log;
  /** For work outside of requests: set-up, scripts, tests. */
  readonly durable: Durable;
  /**
   * Opens the port; resolves once requests are served. `url` tells the port that was chosen.
   * @throws {address_unusable} when another process has it, or this machine does not have it.
   */
  listen(): Promise<{ readonly url: string }>;
  /**
   * Serves other routes of the same systems from now on, without a pause: a request that is under way ends
   * with the stages that it began with; see `Edge.replace` for what goes on. Caches of routes that stay keep what is
   * stored, others begin empty. Jobs, consumers, schedules and migrations are those of the start.
   * @throws (rejects) TypeError for what cannot work together; what was served before goes on.
   */
  replace(changes: ForgeChanges): Promise<void>;
  /** Whether `/health/ready` answers 200 now. */
  isReady(): Promise<boolean>;
  /**
   * Has its connections end, which is followed by {@link stop}: it accepts no new ones, and each open one is closed
   * with its next answer or when it has been idle for 72 s, so that no request is lost where another process
   * serves the address. Jobs go on. Resolves when no connection is open, after 75 s at the latest.
   */
  drain(): Promise<void>;
  /** Stops accepting, finishes requests and jobs in flight (10 s each at most), gives back the rest, closes the store. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens the store, applies the migrations and begins to run jobs and consumers; requests are
 * served after `listen()`.
 * @throws {config_invalid} naming every setting that cannot be used.
 * @throws {store_locked} when another process uses the embedded database.
 * @throws {store_misconfigured} when the store cannot keep its promises as it is set up.
 * @throws {data_dir_unusable} when generated keys cannot be kept.
 * @throws {store_unavailable} when PostgreSQL cannot be reached.
 */
export async function createForge(
  systems: System | readonly System[],
  options: ForgeOptions = {},
): Promise<Forge> {
  const config: Config = { ...readConfig(), ...options.config };
  if (config.processes > 1 && config.databaseUrl === undefined) throw oneProcessOnly(config);
  const logs = openLogs(config, options.log);
  const { log } = logs;
  const own = options.tokens === undefined ? [] : [tokenSystem(options.tokens)];
  const system = mergeSystems([...[systems].flat(), ...own]);
  const store = await openStore(config, system.migrations, log);
  let leases: Leases | undefined;
  try {
    leases = await openLeases(config, store, log);
    return await assemble(config, system, { store, leases, logs }, options);
  } catch (error) {
    await leases?.close();
    await store.close();
    throw keysFailure(error);
  }
}

/** What a server keeps open until it stops. */
interface Opened {
  readonly store: Store;
  readonly leases: Leases;
  readonly logs: Logs;
}

async function assemble(
  config: Config,
  system: Required<System>,
  opened: Opened,
  options: ForgeOptions,
): Promise<Forge> {
  const { store, leases, logs } = opened;
  const { log } = logs;
  const runsJobs = config.jobConcurrency > 0;
  const secret = deploymentSecret(config.secret, config.dataDir);
  const durable = createDurable({
    store,
    log,
    jobs: system.jobs,
    consumers: system.consumers,
    schedules: system.schedules,
    batches: system.batches,
    concurrency: config.jobConcurrency,
    queues: options.queues ?? {},
    ...(config.jobTotalConcurrency === undefined
      ? {}
      : { totalConcurrency: config.jobTotalConcurrency }),
  });
  const revocations = new RevocationWatch({
    durable,
    clock: systemClock,
    singleProcess: store.capabilities.singleProcess,
    transactionLimitMs: config.transactionLimitMs,
  });
  await revocations.refresh();
  const usage = new KeyUsage({ durable, clock: systemClock, log });
  const keyMode = config.keyMode === "any" ? undefined : config.keyMode;
  const deployment = createDeployment(secret, {
    clock: systemClock,
    keyMode,
    forgetCallers: (tx, tenant) => revocations.revoke(tx, tenant),
  });
  system.open(deployment);
  const audience = config.jwtAudience;
  await options.tokens?.open({ durable, secret, audience, clock: systemClock, log });
  const files = await readTlsFiles(config);
  const certificates = clientCertificates(files, config, systemClock, options.identifyCertificate);
  const secretOfKeys = deployment.secretFor(keySecretPurpose);
  const { edge, verifierFor } = await buildEdge(config, system, opened, deployment, durable, {
    ...options,
    ...(files.tls === undefined ? {} : { tls: files.tls }),
    ...(certificates === undefined ? {} : { certificates }),
    keys: createKeyVerifier(secretOfKeys, durable, systemClock, usage),
    authoriser: { ...authoriserOptions(options.authoriser ?? {}, durable, revocations), keyMode },
  });
  const watched = watchTlsFiles(files, { config, edge, certificates, clock: systemClock, log });
  if (runsJobs) await durable.start();
  const caches = await openCaches(system.routes, {
    dataDir: config.dataDir,
    log,
    durable,
    clock: systemClock,
    singleProcess: store.capabilities.singleProcess,
    transactionLimitMs: config.transactionLimitMs,
  });
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    watched.stop();
    await edge.close();
    await caches.close();
    await leases.close();
    await usage.flush();
    if (runsJobs) await durable.stop(drainMs);
    await store.close();
  };
  return {
    config,
    log,
    durable,
    async listen() {
      try {
        return await edge.listen(config);
      } catch (error) {
        throw listenFailure(error, config);
      }
    },
    replace: ({ issuers = [], ...changes }) =>
      caches.change(changes.routes, () =>
        edge.replace({ ...changes, verifier: verifierFor(issuers) }),
      ),
    isReady: async () => (await edge.inject({ url: "/health/ready" })).statusCode === 200,
    drain: () => edge.drain(),
    stop: () => (stopping ??= stop()),
    [Symbol.asyncDispose]: () => (stopping ??= stop()),
  };
}

async function buildEdge(
  config: Config,
  system: Required<System>,
  { store, leases, logs: { log, lines } }: Opened,
  deployment: Deployment,
  durable: Durable,
  options: Omit<ForgeOptions, "authoriser"> &
    Pick<EdgeOptions, "tls" | "certificates"> &
    Required<Pick<EdgeOptions, "authoriser" | "keys">>,
): Promise<{ readonly edge: Edge; readonly verifierFor: VerifierFor }> {
  const { onError, reporter, api, cors, versions, tokens, authoriser } = options;
  const { limits = {}, issuers: added = [], tls, certificates } = options;
  const { issuers, jwks } = await trustedIssuers(config, log, tokens);
  const { limitLog } = store;
  const verifierFor = rememberLast((more: readonly TrustedIssuer[]) =>
    createTokenVerifier({
      issuers: [...issuers, ...more],
      introspection: options.introspection,
      clock: systemClock,
    }),
  );
  const edge = createEdge({
    routes: system.routes,
    stages: system.stages,
    limits,
    durable,
    usageStore: durable,
    log,
    clock: systemClock,
    maxConnectionsPerAddress: config.maxConnectionsPerAddress,
    verifier: verifierFor(added),
    keys: options.keys,
    authoriser,
    cursorKey: deployment.secretFor("cursor"),
    ready: () => store.check(),
    ...evidenceOptions(config, durable, lines, options.metrics),
    ...(options.revision === undefined ? {} : { revision: options.revision }),
    leases,
    ...(limitLog && { limitMemory: { log: limitLog, memory: await limitLog.load() } }),
    ...(onError === undefined ? {} : { onError }),
    ...(reporter === undefined ? {} : { reporter }),
    ...(cors === undefined ? {} : { cors }),
    ...(api === undefined ? {} : { api }),
    ...(versions === undefined ? {} : { versions }),
    ...(jwks === undefined ? {} : { jwks }),
    ...(tls === undefined ? {} : { tls }),
    ...(certificates === undefined ? {} : { certificates }),
  });
  return { edge, verifierFor };
}

type VerifierFor = (issuers: readonly TrustedIssuer[]) => TokenVerifier;

/** `make`, which answers the same for the same list as the time before: its key sets and its callers go on. */
function rememberLast(make: VerifierFor): VerifierFor {
  let last:
    | { readonly issuers: readonly TrustedIssuer[]; readonly made: TokenVerifier }
    | undefined;
  return (issuers) => {
    if (last === undefined || !isDeepStrictEqual(last.issuers, issuers)) {
      last = { issuers, made: make(issuers) };
    }
    return last.made;
  };
}

/** The operator's issuer when there is one, else this machine's development issuer; and the deployment itself. */
export async function trustedIssuers(
  config: Config,
  log: Log,
  tokens: Tokens | undefined,
): Promise<{
  issuers: readonly TrustedIssuer[];
  jwks: (() => Promise<JSONWebKeySet>) | undefined;
}> {
  const { jwksUrl, jwtIssuer: issuer, jwtAudience: audience } = config;
  const own = tokens === undefined ? [] : [ownIssuer(tokens)];
  if (jwksUrl !== undefined) {
    const issuers = [{ issuer, audience, jwks: new URL(jwksUrl) }, ...own];
    return { issuers, jwks: tokens === undefined ? undefined : () => tokens.keys.fresh() };
  }
  const dev = await openDevIssuer(config, log);
  const jwks = async (): Promise<JSONWebKeySet> => {
    const ownKeys = (await tokens?.keys.fresh())?.keys ?? [];
    return { keys: [...dev.jwks().keys, ...ownKeys] };
  };
  return { issuers: [{ issuer, audience, jwks: dev.jwks() }, ...own], jwks };
}

/** The development issuer of a data directory, which signs the tokens of `npm run token`. */
export function openDevIssuer(config: Config, log: Log): ReturnType<typeof createDevIssuer> {
  return createDevIssuer({
    directory: join(config.dataDir, "keys"),
    clock: systemClock,
    log,
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
  });
}
