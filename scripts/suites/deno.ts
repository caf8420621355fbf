import { connect, type Socket } from "node:net";

// Loaded with --import ahead of a suite that is written for Deno: the little of `Deno` that it uses.

/** A TCP connection as `Deno.connect` gives it. */
class Connection {
  private readonly socket: Socket;
  private isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    // A server may well reset what it refuses; who reads is told by the end.
    socket.on("error", () => {});
  }

  write(bytes: Uint8Array): Promise<number> {
    this.socket.write(bytes);
    return Promise.resolve(bytes.length);
  }

  /** The bytes that came, as far as they fit; null at the end. */
  async read(buffer: Uint8Array): Promise<number | null> {
    const bytes = await this.next();
    if (bytes === null) return null;
    const fitting = bytes.subarray(0, buffer.length);
    buffer.set(fitting);
    return fitting.length;
  }

  /** Ends the connection; a read under way fails, as Deno's does. */
  close(): void {
    this.isClosed = true;
    this.socket.destroy();
  }

  private next(): Promise<Buffer | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | null>();
    this.socket.once("data", resolve);
    this.socket.once("close", () => {
      if (this.isClosed) reject(new Error("The connection was closed"));
      else resolve(null);
    });
    return promise;
  }
}

Object.assign(globalThis, {
  Deno: {
    args: process.argv.slice(2),
    exit: (code: number) => process.exit(code),
    connect({ hostname, port }: { hostname: string; port: number }): Promise<Connection> {
      const { promise, resolve, reject } = Promise.withResolvers<Connection>();
      const socket = connect(port, hostname, () => resolve(new Connection(socket)));
      socket.once("error", reject);
      return promise;
    },
  },
});
