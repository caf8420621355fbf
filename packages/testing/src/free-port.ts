import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Below the ephemeral range of Linux (32768) and macOS (49152): an outgoing connection of another
// test cannot take the port while a server that is being restarted does not hold it.
const firstPort = 20_000;
const lastPort = 29_999;

/**
 * A port of 127.0.0.1 on which nothing listens now. Use it only where a server cannot be told to
 * pick its own port, and be ready for another process to take it first.
 * @throws Error when 100 random tries find none.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(firstPort, lastPort + 1);
    if (await canListen(port)) return port;
  }
  throw new Error(`No free port between ${firstPort} and ${lastPort} on 127.0.0.1`);
}

function canListen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => {
    resolve(false);
  });
  server.listen(port, "127.0.0.1", () => {
    server.close(() => {
      resolve(true);
    });
  });
  return promise;
}
