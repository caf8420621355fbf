import type { Client, Dispatcher, Pool } from "undici";

import type { Clock } from "../kernel/index.ts";
import type { Breaker } from "./breaker.ts";
import { Channel, type ChannelSettings } from "./grpc/channel.ts";
import { Health, type HealthOptions } from "./health.ts";
import type { ProbeConnection } from "./health-probe.ts";
import { loadUndici } from "./undici.ts";
import type { UpstreamTls } from "./upstream-tls.ts";

/** undici closes a connection a second before the peer says it will; this is for peers that say nothing. */
const keepAliveMs = 4_000;

/** What all endpoints of an upstream have in common, apart from a breaker of its own. */
export interface EndpointSettings {
  readonly connections: number;
  readonly connectMs: number;
  readonly breaker: Breaker;
  readonly clock: Clock;
  /** Undefined: it is never asked. */
  readonly health: HealthOptions | undefined;
  readonly tls: UpstreamTls;
}

/** One place where an upstream runs. */
export class Endpoint {
  /** Goes in front of every path; empty, or without a slash at its end. */
  readonly basePath: string;
  /** As it was declared. */
  readonly url: string;
  readonly breaker: Breaker;
  /** Attempts at work. */
  pending = 0;
  readonly #makePool: () => Pool;
  readonly #origin: string;
  readonly #connectMs: number;
  /** Pools that take no more requests, with the end of those that they have. */
  readonly #closing = new Map<Pool, Promise<void>>();
  #connect: NonNullable<Client.Options["connect"]>;
  readonly #health: Health | undefined;
  readonly #channelSettings: ChannelSettings;
  #tls: UpstreamTls;
  #channel: Channel | undefined;
  /** Made by the first request, which loads undici, 60 ms once: a server whose routes are not asked does without. */
  #pool: Pool | undefined;

  /** @throws {TypeError} for what is no URL of http or https, or has more than a path. */
  constructor(
    upstream: string,
    url: string,
    { connections, connectMs, breaker, clock, health, tls }: EndpointSettings,
  ) {
    const { origin, protocol, pathname, search, hash, username } = parsed(upstream, url);
    if (!/^https?:$/.test(protocol) || `${search}${hash}${username}` !== "") {
      throw new TypeError(`Upstream ${upstream}: an endpoint is http://host[:port][/path]`);
    }
    this.url = url;
    this.breaker = breaker;
    this.basePath = pathname.replace(/\/+$/, "");
    this.#connectMs = connectMs;
    this.#channelSettings = { connectMs, connections, clock };
    this.#tls = tls;
    this.#connect = { ...tls, timeout: connectMs };
    this.#makePool = () =>
      new (loadUndici().Pool)(origin, {
        connections,
        connect: this.#connect,
        // Offered unless it is refused; Attempt reads raw lines, of which HTTP/2 has none.
        allowH2: false,
        keepAliveTimeout: keepAliveMs,
        // PhaseWatch looks after them, by the injected clock and with one timer for all.
        headersTimeout: 0,
        bodyTimeout: 0,
      });
    this.#origin = origin;
    this.#health = health && new Health(this.basePath, clock, health);
  }

  /** False when it has said so itself; see {@link HealthOptions}. */
  get isWell(): boolean {
    return this.#health === undefined || this.#health.isWell;
  }

  /** Whether a request may go there now. */
  get isUp(): boolean {
    return this.breaker.allows && this.isWell;
  }

  /** Its connections of HTTP/2, for calls of gRPC; none are made before the first. */
  get channel(): Channel {
    this.#channel ??= new Channel(new URL(this.url).origin, this.#tls, this.#channelSettings);
    return this.#channel;
  }

  open(): void {
    this.#health?.start(this.#probeConnection());
  }

  /** Connections that are opened from now on use `tls`; those that are open go on until their requests have ended. */
  renewTls(tls: UpstreamTls): void {
    this.#connect = { ...tls, timeout: this.#connectMs };
    this.#tls = tls;
    this.#channel?.renewTls(tls);
    this.#retire();
    this.#health?.reconnect(this.#probeConnection());
  }

  /** Sends one request; everything else is told to `handler`. */
  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#pool ??= this.#makePool();
    this.#pool.dispatch(options, handler);
  }

  /**
   * Closes its connections, those at work at their end, or after `drainMs`. Another server of this
   * process may go on using it, over new ones, unless this `isLast`.
   */
  async close(clock: Clock, drainMs: number, isLast: boolean): Promise<void> {
    if (isLast) await this.#health?.stop();
    this.#retire();
    const closing = [...this.#closing];
    const timer = clock.after(drainMs, () => {
      for (const [pool] of closing) void pool.destroy();
      this.#channel?.destroy();
    });
    await Promise.all([...closing.map(([, end]) => end), this.#channel?.close()]);
    timer.cancel();
  }

  #probeConnection(): ProbeConnection {
    return { origin: this.#origin, connectMs: this.#connectMs, tls: this.#tls };
  }

  #retire(): void {
    const pool = this.#pool;
    if (pool === undefined) return;
    this.#pool = undefined;
    this.#closing.set(
      pool,
      pool.close().finally(() => this.#closing.delete(pool)),
    );
  }
}

function parsed(upstream: string, url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new TypeError(`Upstream ${upstream}: an endpoint is http://host[:port][/path]`);
  }
}
