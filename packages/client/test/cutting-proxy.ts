import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A TCP proxy that takes answers away from the client. */
export interface CuttingProxy extends AsyncDisposable {
  readonly url: string;
  /** Answers that were cut so far. */
  readonly cuts: () => number;
}

/**
 * Forwards requests to `targetUrl` whole, and cuts the connection instead of the first byte of the
 * first `count` answers: the server has done its work, and the client does not know.
 */
export async function startCuttingProxy(targetUrl: string, count: number): Promise<CuttingProxy> {
  const target = new URL(targetUrl);
  const clients = new Set<Socket>();
  let cuts = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    clients.add(client);
    client.on("error", () => upstream.destroy());
    upstream.on("error", () => client.destroy());
    client.pipe(upstream);
    upstream.on("data", (bytes) => {
      if (cuts >= count) {
        client.write(bytes);
        return;
      }
      cuts += 1;
      client.resetAndDestroy();
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy();
      await new Promise<void>((closed) => void server.close(() => closed()));
    },
  };
}
