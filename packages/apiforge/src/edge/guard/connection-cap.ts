import type { Server } from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";

import { answerOn, ignoreRestOf } from "../client-error.ts";
import { edgeError } from "../errors.ts";

/**
 * Lets one address have `limit` connections open at a time. One more is answered with
 * `too_many_connections` and closed before anything is read from it.
 */
export function capConnections(server: Server, limit: number): void {
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    // Undefined for a client that has gone before its turn came.
    const address = socket.remoteAddress ?? "";
    const count = (open.get(address) ?? 0) + 1;
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
    if (count <= limit) return;
    // Before its handshake a connection cannot be told anything.
    if (server instanceof TlsServer) return void socket.destroy();
    ignoreRestOf(socket);
    answerOn(
      socket,
      edgeError("too_many_connections", "Too many connections are open from this address"),
    );
    socket.destroySoon();
  });
}
