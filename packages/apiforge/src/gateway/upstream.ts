import { systemClock, type Clock } from "../kernel/index.ts";
import { Endpoint } from "./endpoint.ts";
import { PhaseWatch } from "./phases.ts";

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
  };
  /** Connections to each endpoint; default 64. */
  readonly connections?: number;
  /** Requests at work or waiting for a connection, of all endpoints; more are refused. Default 1,024. */
  readonly maxPending?: number;
  /** Default the machine's. */
  readonly clock?: Clock;
}

/** A service that requests are passed on to. */
export class Upstream {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly watch: PhaseWatch;
  readonly #maxPending: number;
  #pending = 0;

  constructor(options: UpstreamOptions) {
    const { name, endpoints, timeouts = {}, connections = 64, maxPending = 1_024 } = options;
    const { connectMs = 3_000, headMs = 30_000, idleMs = 60_000, clientMs = 60_000 } = timeouts;
    if (endpoints.length === 0) throw new TypeError(`Upstream ${name} has no endpoint`);
    this.name = name;
    this.endpoints = endpoints.map((url) => new Endpoint(name, url, connections, connectMs));
    this.watch = new PhaseWatch(options.clock ?? systemClock, {
      connect: connectMs,
      head: headMs,
      body: idleMs,
      client: clientMs,
    });
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
  }

  /** The endpoint with the least to do. */
  pick(): Endpoint {
    let [best] = this.endpoints;
    for (const endpoint of this.endpoints) {
      if (best === undefined || endpoint.pending < best.pending) best = endpoint;
    }
    if (best === undefined) throw new TypeError(`Upstream ${this.name} has no endpoint`);
    return best;
  }

  /** Closes its connections, those at work at their end. */
  async close(): Promise<void> {
    await Promise.all(this.endpoints.map((endpoint) => endpoint.close()));
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
