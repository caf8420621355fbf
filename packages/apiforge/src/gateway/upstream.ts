import { systemClock, type Clock } from "../kernel/index.ts";
import type { Exchange, RelayBackend } from "../edge/index.ts";
import { arrivalMs } from "./arrival.ts";
import { balancer, type Balancing, type Choose } from "./balancing.ts";
import { Breaker, type BreakerOptions, type BreakerState } from "./breaker.ts";
import { Endpoint } from "./endpoint.ts";
import type { HealthOptions } from "./health.ts";
import { PhaseWatch } from "./phases.ts";
import { RetryBudget } from "./retry-budget.ts";
import {
  checkedTls,
  TlsFileWatch,
  type UpstreamTls,
  type UpstreamTlsFiles,
} from "./upstream-tls.ts";

/** Options of {@link upstream}. */
export interface UpstreamOptions {
  /** In logs and metrics; callers never see it. */
  readonly name: string;
  /** Where it runs: origins, each with a path that goes in front of every request's. */
  readonly endpoints: readonly string[];
  readonly timeouts?: {
    /** Until the request has a connection; default 3,000 ms. */
    readonly connectMs?: number;
    /** From the last byte of the request to the head of the answer; default 30,000 ms. */
    readonly headMs?: number;
    /** Between two pieces of the answer's body; default 60,000 ms. Event streams send comments. */
    readonly idleMs?: number;
    /** For a client that does not read its answer; default 60,000 ms. */
    readonly clientMs?: number;
    /** Without a byte either way over a WebSocket; default 120,000 ms. Either end can send pings. */
    readonly webSocketMs?: number;
  };
  /** Connections to each endpoint; default 64. */
  readonly connections?: number;
  /** Requests at work or waiting for a connection, of all endpoints; more are refused. Default 1,024. */
  readonly maxPending?: number;
  /** Which endpoint a request goes to; default `least-pending`. */
  readonly balancing?: Balancing;
  /** When an endpoint is left alone because it fails, by errors of its connections and status 502, 503 and 504. */
  readonly breaker?: BreakerOptions;
  /** How endpoints are asked whether they are well, while a server is open whose routes lead here; default never. */
  readonly health?: HealthOptions;
  /** Authorities that vouch for endpoints of https, in PEM, in the place of those that Node trusts. */
  readonly ca?: string;
  /** What this server proves itself by to endpoints of https that ask for a client certificate; default none. */
  readonly certificate?: { readonly key: string; readonly cert: string };
  /** Files that `ca` and `certificate` are read from instead, and again once a minute while a server is open; default none. */
  readonly tlsFiles?: UpstreamTlsFiles;
  readonly retry?: RetryOptions;
  /** Default the machine's. */
  readonly clock?: Clock;
}

/**
 * When a request is sent again, as long as nothing of an answer has left, its body is held (up to
 * 64 KiB) and the budget has something left: a fifth of the requests, and three in 10 s.
 */
export interface RetryOptions {
  /** With the first one; default 2. 1: no retries. */
  readonly attempts?: number;
  /** Answers that are asked for again, of methods that may be repeated; default 503. */
  readonly statuses?: readonly number[];
  /** Before each retry; default 0 ms. */
  readonly delayMs?: number;
  /** The upstream knows `Idempotency-Key`, so requests that carry one may be repeated. Default false. */
  readonly keyed?: boolean;
}

/** State of an endpoint, to be shown. */
export interface EndpointState {
  readonly url: string;
  readonly state: BreakerState;
  /** False when it gets no requests because of its answers to {@link UpstreamOptions.health}. */
  readonly isWell: boolean;
  readonly pending: number;
}

/** What clients wait for has ended when an upstream is closed; this is for answers that were cut off, or nobody waits for. */
const drainMs = 5_000;

/** A service that requests are passed on to. */
export class Upstream implements RelayBackend {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly watch: PhaseWatch;
  readonly retry: Required<RetryOptions>;
  readonly budget: RetryBudget;
  readonly #choose: Choose;
  readonly #maxPending: number;
  readonly #files: TlsFileWatch | undefined;
  #pending = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #servers = 0;

  constructor(options: UpstreamOptions) {
    const { name, endpoints, timeouts = {}, connections = 64, maxPending = 1_024 } = options;
    const { connectMs = 3_000, headMs = 30_000, idleMs = 60_000, clientMs = 60_000 } = timeouts;
    const { webSocketMs = 120_000 } = timeouts;
    if (endpoints.length === 0) throw new TypeError(`Upstream ${name} has no endpoint`);
    const clock = options.clock ?? systemClock;
    this.name = name;
    const { ca, certificate = {}, tlsFiles } = options;
    this.#files = tlsFiles && new TlsFileWatch(name, tlsFiles, clock, (tls) => this.renewTls(tls));
    const given = ca === undefined ? certificate : { ...certificate, ca };
    const tls = this.#files?.current ?? checkedTls(name, given);
    this.endpoints = endpoints.map((url) => {
      const breaker = new Breaker(clock, options.breaker);
      const { health } = options;
      return new Endpoint(name, url, { connections, connectMs, breaker, clock, health, tls });
    });
    const answering = { connect: connectMs, head: headMs, body: idleMs, client: clientMs };
    this.watch = new PhaseWatch(clock, { ...answering, tunnel: webSocketMs, arrival: arrivalMs });
    this.retry = { attempts: 2, statuses: [503], delayMs: 0, keyed: false, ...options.retry };
    this.budget = new RetryBudget(clock);
    this.#choose = balancer(options.balancing ?? "least-pending");
    this.#maxPending = maxPending;
  }

  /** Takes a place for one request; false when there is none. */
  enter(): boolean {
    if (this.#pending >= this.#maxPending) return false;
    this.#pending += 1;
    return true;
  }

  /** Gives the place back. */
  leave(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#idle?.resolve();
  }

  /** Resolves when no request is at work. */
  async idle(): Promise<void> {
    while (this.#pending > 0) {
      this.#idle = Promise.withResolvers();
      await this.#idle.promise;
      this.#idle = undefined;
    }
  }

  /** Its endpoints as they are now. */
  get states(): EndpointState[] {
    return this.endpoints.map(({ url, breaker, isWell, pending }) => ({
      url,
      state: breaker.state,
      isWell,
      pending,
    }));
  }

  /** Whether some endpoint lets requests pass. */
  get isUp(): boolean {
    return this.endpoints.some(({ isUp }) => isUp);
  }

  /** An endpoint that lets requests pass, one that is not among `tried` if there is one; undefined when all are left alone. */
  pick(exchange: Exchange, tried: ReadonlySet<Endpoint>): Endpoint | undefined {
    const [only] = this.endpoints;
    if (this.endpoints.length === 1) return only?.isUp === true ? only : undefined;
    const up = this.endpoints.filter(({ isUp }) => isUp);
    const untried = tried.size === 0 ? up : up.filter((endpoint) => !tried.has(endpoint));
    const candidates = untried.length === 0 ? up : untried;
    return candidates.length < 2 ? candidates[0] : this.#choose(candidates, exchange);
  }

  /** A server begins to listen whose routes lead here. */
  open(): void {
    this.#servers += 1;
    if (this.#servers > 1) return;
    for (const endpoint of this.endpoints) endpoint.open();
    this.#files?.start();
  }

  /**
   * Connections that are opened from now on trust and show this; requests under way are not touched.
   * @throws {TypeError} for what cannot be used; the old then stays.
   */
  renewTls(tls: UpstreamTls): void {
    const checked = checkedTls(this.name, tls);
    for (const endpoint of this.endpoints) endpoint.renewTls(checked);
  }

  /** Closes its connections, those at work at their end or after 5 s. The server whose routes lead here does it. */
  async close(): Promise<void> {
    this.#servers -= 1;
    if (this.#servers === 0) this.#files?.stop();
    const { clock } = this.watch;
    await Promise.all(
      this.endpoints.map((endpoint) => endpoint.close(clock, drainMs, this.#servers === 0)),
    );
  }
}

/**
 * Declares a service that requests are passed on to.
 * @example upstream({ name: "orders", endpoints: ["http://127.0.0.1:8080"] })
 * @throws {TypeError} for what is no endpoint.
 */
export function upstream(options: UpstreamOptions): Upstream {
  return new Upstream(options);
}
