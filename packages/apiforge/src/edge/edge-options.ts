import type { InjectOptions, LightMyRequestResponse } from "fastify";
import type { Clock, Log } from "../kernel/index.ts";
import type { LimitLog, LimitMemory } from "../store/index.ts";
import type { AuthoriserOptions } from "./auth/authorisers.ts";
import type { KeyVerifier } from "./auth/key-verifier.ts";
import type { TokenVerifier } from "./auth/token-verifier.ts";
import type { CorsOptions } from "./cors/policy.ts";
import type { AccessLogOptions } from "./evidence/access-log.ts";
import type { ErrorReporter, OnError } from "./evidence/error-hooks.ts";
import type { MetricsOptions } from "./evidence/metrics/mount-metrics.ts";
import type { Stopwatch } from "./evidence/observe.ts";
import type { ClientCertificates } from "./certificates/client-certificates.ts";
import type { TlsMaterial } from "./tls.ts";
import type { ReadyCheck } from "./health.ts";
import type { LeaseSource } from "./limits/lease-desk.ts";
import type { ServerLimits } from "./limits/limit-book.ts";
import type { ApiDescription } from "./openapi/openapi.ts";
import type { Route } from "./route.ts";
import type { PlacedStage } from "./stage.ts";
import type { UsageStore } from "./versions/usage-book.ts";
import type { VersionOptions } from "./versions/version-choice.ts";
import type { DurableBackend } from "./stages/backend.ts";

/** Options of `createEdge`. */
export interface EdgeOptions {
  readonly routes: readonly Route[];
  readonly durable: DurableBackend;
  /** Tells who a bearer token speaks for. */
  readonly verifier: TokenVerifier;
  /** Tells who an API key speaks for; default there are none. */
  readonly keys?: KeyVerifier;
  /** How verified callers are remembered. */
  readonly authoriser?: AuthoriserOptions;
  readonly log: Log;
  readonly clock: Clock;
  /** At least 32 secret bytes, the same on every node: signs list cursors. */
  readonly cursorKey: Uint8Array;
  /** Resolves when requests can be served, for `/health/ready`. */
  readonly ready: ReadyCheck;
  /** Public keys to serve at `/.well-known/jwks.json`; default none. */
  readonly jwks?: () => object | Promise<object>;
  /** Serves over TLS; default not. */
  readonly tls?: TlsMaterial;
  /** Asks callers for client certificates, for routes that need one; default not. */
  readonly certificates?: ClientCertificates;
  /** Stages of the application; see `stage`. */
  readonly stages?: readonly PlacedStage[];
  /** One line in the log for each answer; default none. */
  readonly accessLog?: AccessLogOptions;
  /** Counts requests and serves `GET /metrics`; default neither. */
  readonly metrics?: MetricsOptions;
  /** `Server-Timing` on the answers to known callers; default false. */
  readonly serverTiming?: boolean;
  /** Changes what callers are told of errors; see {@link OnError}. */
  readonly onError?: OnError;
  /** Told of errors that nobody made on purpose; default nobody. */
  readonly reporter?: ErrorReporter;
  /** What durations are measured by; default `performance.now`. */
  readonly stopwatch?: Stopwatch;
  /** Pages of other origins that may call routes without a word of their own; default none. */
  readonly cors?: CorsOptions;
  /** Connections that one address may have open at a time; default 10,000: behind a proxy all come from its address. Lower it where clients connect themselves. */
  readonly maxConnectionsPerAddress?: number;
  /** Limits of the whole server; those of a route stand on the route. */
  readonly limits?: ServerLimits;
  /** Where callers of deprecated routes are counted, in `forge_deprecated_usage`; default nowhere. */
  readonly usageStore?: UsageStore;
  /** How callers say which version of a route they want; default routes have none. */
  readonly versions?: VersionOptions;
  /** Where what limits have counted outlives this process; default nowhere. */
  readonly limitMemory?: { readonly log: LimitLog; readonly memory: LimitMemory };
  /** Gives out quotas, and without a `limitMemory` limits, to all nodes in blocks; default nothing does, so quotas are refused. */
  readonly leases?: LeaseSource;
  /** Head of `/openapi.json`; default title `API`. */
  readonly api?: ApiDescription;
  /** Which state of a configuration that changes this is: lines of the log carry it. Letters, digits and `-`; default none. */
  readonly revision?: string;
}

/** What a server can change while it serves; what is absent has its default, and the verifier is as before. */
export type EdgeChanges = Pick<EdgeOptions, "routes"> &
  Partial<
    Pick<EdgeOptions, "stages" | "verifier" | "limits" | "cors" | "versions" | "api" | "revision">
  >;

/** A server over a table of routes. */
export interface Edge {
  /** Starts to accept connections. Port 0 picks a free one. */
  listen(options: {
    readonly port: number;
    readonly host: string;
  }): Promise<{ readonly url: string }>;
  /** Sends one request without a socket, for tests. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
  /**
   * Serves connections from now on with this key and certificate, and the authorities that
   * {@link EdgeOptions.certificates} has now.
   * @throws {TypeError} for a server without TLS, and Node's error for material that does not fit together.
   */
  renewTls(material: TlsMaterial): void;
  /**
   * Serves other routes: a request that begins from now on passes the new stages, one that is under way
   * ends with those that it began with. Connections stay, and so does what limits have counted, what is
   * remembered of callers, and what both know of their upstreams. Upstreams that nothing leads to any
   * more are closed when the last of their requests has ended.
   * @throws (rejects) what `createEdge` throws; the routes before then go on.
   */
  replace(changes: EdgeChanges): Promise<void>;
  /**
   * Has its connections end without one that is cut: accepts no new ones, closes each with its next answer, and
   * those on which nothing more comes when they have been idle for as long as at any time (72 s). HTTP/2
   * connections get their GOAWAY with the next request and end with the answers under way. Resolves when none is open, after 75 s at
   * the latest; `close` then ends what is left. What is under way is told of nothing until then.
   */
  drain(): Promise<void>;
  /**
   * Stops accepting, lets requests in flight finish for up to 10 s, closes what is left.
   * Resolves when no connection is open; calling it again waits for the same end.
   */
  close(): Promise<void>;
}
