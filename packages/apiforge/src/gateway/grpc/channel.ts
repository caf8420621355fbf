import { connect, type ClientHttp2Session } from "node:http2";

import type { Clock } from "../../kernel/index.ts";
import type { UpstreamTls } from "../upstream-tls.ts";

/** Until a server says how many streams of a connection it takes. */
const assumedStreams = 100;
/** The system looks after peers that are gone without a word; pings of HTTP/2 are counted as misuse by servers of gRPC. */
const keepAliveMs = 30_000;

/** What a channel is made of. */
export interface ChannelSettings {
  readonly connectMs: number;
  /** Connections at most. */
  readonly connections: number;
  readonly clock: Clock;
}

/** A connection took too long. */
class ConnectTimeout extends Error {
  readonly code = "UND_ERR_CONNECT_TIMEOUT";
}

/** Connections of HTTP/2 to one endpoint: with TLS those that it agrees to speak it on, without it at once. */
export class Channel {
  readonly #origin: string;
  readonly #settings: ChannelSettings;
  #tls: UpstreamTls;
  readonly #sessions = new Set<ClientHttp2Session>();
  readonly #streams = new WeakMap<ClientHttp2Session, number>();
  #connecting: Promise<ClientHttp2Session> | undefined;

  constructor(origin: string, tls: UpstreamTls, settings: ChannelSettings) {
    this.#origin = origin;
    this.#tls = tls;
    this.#settings = settings;
  }

  /** A connection that takes one more stream, which the caller has {@link begin} and {@link end}. Rejects with what kept it from being made. */
  session(): Promise<ClientHttp2Session> {
    let best: ClientHttp2Session | undefined;
    for (const session of this.#sessions) {
      if (session.destroyed) this.#sessions.delete(session);
      if (session.closed || session.destroyed || session.connecting) continue;
      if (best === undefined || this.#count(session) < this.#count(best)) best = session;
    }
    const isFull = best === undefined || this.#count(best) >= limitOf(best);
    if (best !== undefined && (!isFull || this.#sessions.size >= this.#settings.connections)) {
      return Promise.resolve(best);
    }
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  /** A stream is opened on `session`. */
  begin(session: ClientHttp2Session): void {
    this.#streams.set(session, this.#count(session) + 1);
  }

  /** It is over. */
  end(session: ClientHttp2Session): void {
    this.#streams.set(session, this.#count(session) - 1);
  }

  /** Connections that are made from now on use `tls`; those that are open end with their streams. */
  renewTls(tls: UpstreamTls): void {
    this.#tls = tls;
    for (const session of this.#sessions) session.close();
  }

  /** Ends each connection with its last stream. Resolves when none is left. */
  async close(): Promise<void> {
    // One whose peer sent an alert of TLS behind its handshake is destroyed, and Node never says that it is closed.
    const open = [...this.#sessions].filter(({ destroyed }) => !destroyed);
    const ends = open.map((session) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      session.once("close", resolve);
      session.close();
      return promise;
    });
    await Promise.all(ends);
  }

  /** Ends those that {@link close} waits for. */
  destroy(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #count(session: ClientHttp2Session): number {
    return this.#streams.get(session) ?? 0;
  }

  #connect(): Promise<ClientHttp2Session> {
    const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
    const { clock, connectMs } = this.#settings;
    const ofSocket = { ...this.#tls, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
    const session = connect(this.#origin, { ...ofSocket, settings: { enablePush: false } });
    const timer = clock.after(connectMs, () => {
      reject(new ConnectTimeout());
      session.destroy();
    });
    this.#sessions.add(session);
    session.once("connect", () => resolve(session));
    session.on("error", reject);
    session.once("close", () => {
      timer.cancel();
      this.#sessions.delete(session);
      reject(new Error("closed"));
    });
    return promise.finally(() => timer.cancel());
  }
}

function limitOf({ remoteSettings }: ClientHttp2Session): number {
  return remoteSettings?.maxConcurrentStreams ?? assumedStreams;
}
