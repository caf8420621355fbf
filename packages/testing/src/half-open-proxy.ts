import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

/**
 * A TCP proxy that stands in for a bad network between a client and PostgreSQL. It starts out
 * forwarding.
 */
export interface HalfOpenProxy extends AsyncDisposable {
  readonly port: number;
  /** `targetUrl` with the proxy's address in place of the server's. */
  readonly url: string;
  /** Client connections that are open now. */
  connectionCount(): number;
  /**
   * Forwards nothing from now on, while every socket stays open: not data, not that a side has
   * closed. New connections are accepted and hear nothing. Keep-alive probes of the kernel are still
   * answered, so only a timeout above TCP notices.
   */
  blackhole(): void;
  /** Forwards again, first what has waited, as TCP does after a healed partition. */
  resume(): void;
  /** Resets (RST) every open connection on both sides. Does not change whether it forwards. */
  resetAll(): void;
  /** Resets what is open and stops listening. */
  close(): Promise<void>;
}

/** One client and its connection to the server, which is made when the proxy first forwards. */
class Pair {
  readonly #client: Socket;
  readonly #dial: () => Socket;
  readonly #onGone: () => void;
  #server: Socket | undefined;
  #held = true;

  /** `client` is paused. `onGone` is called when both sides are closed. */
  constructor(client: Socket, dial: () => Socket, onGone: () => void) {
    this.#client = client;
    this.#dial = dial;
    this.#onGone = onGone;
    this.#watch(client);
  }

  forward(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#server === undefined) {
      this.#server = this.#dial();
      this.#watch(this.#server);
    }
    this.#client.pipe(this.#server);
    this.#server.pipe(this.#client);
    this.#passOnClose();
  }

  hold(): void {
    this.#held = true;
    this.#client.unpipe();
    this.#client.pause();
    this.#server?.unpipe();
    this.#server?.pause();
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server?.resetAndDestroy();
  }

  #watch(socket: Socket): void {
    // An error is always followed by a close.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#passOnClose();
      if (this.#client.destroyed && this.#server?.destroyed !== false) this.#onGone();
    });
  }

  #passOnClose(): void {
    if (this.#held) return;
    if (this.#client.destroyed) this.#server?.destroySoon();
    if (this.#server?.destroyed === true) this.#client.destroySoon();
  }
}

const postgresPort = "5432";

/** Starts a proxy on a free loopback port in front of the server of `targetUrl`. */
export async function startHalfOpenProxy(targetUrl: string): Promise<HalfOpenProxy> {
  const target = new URL(targetUrl);
  const pairs = new Set<Pair>();
  let forwarding = true;
  const address = { host: target.hostname, port: Number(target.port || postgresPort) };
  const dial = (): Socket => connect({ ...address, noDelay: true });
  // Paused, so that a client accepted in a blackhole is not read either.
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (client) => {
    const pair: Pair = new Pair(client, dial, () => pairs.delete(pair));
    pairs.add(pair);
    if (forwarding) pair.forward();
  });
  const port = await listen(server);
  function resetAll(): void {
    for (const pair of pairs) pair.reset();
  }
  async function close(): Promise<void> {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    server.close(() => {
      resolve();
    });
    resetAll();
    await closed;
  }
  target.hostname = "127.0.0.1";
  target.port = String(port);
  return {
    port,
    url: target.href,
    connectionCount: () => pairs.size,
    blackhole() {
      forwarding = false;
      for (const pair of pairs) pair.hold();
    },
    resume() {
      forwarding = true;
      for (const pair of pairs) pair.forward();
    },
    resetAll,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function listen(server: Server): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    resolve();
  });
  await promise;
  const { port } = server.address() as AddressInfo;
  return port;
}
