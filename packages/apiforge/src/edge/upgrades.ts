import type { IncomingMessage, Server, ServerResponse as Response } from "node:http";
import { Socket } from "node:net";

import { ServerResponse } from "./node-http.ts";

/** True for a request to go on as a WebSocket (RFC 6455 section 4.1). */
export function asksForWebSocket({ method, httpVersion, headers }: IncomingMessage): boolean {
  if (headers.upgrade === undefined || method !== "GET" || httpVersion !== "1.1") return false;
  const { upgrade, connection = "" } = headers;
  return upgrade.toLowerCase() === "websocket" && /(?:^|,)\s*upgrade\s*(?:$|,)/i.test(connection);
}

/**
 * Hands requests for a WebSocket to the stages like any other. Node leaves their connections to
 * whoever answers; what answers anything but 101 has the connection closed after it.
 */
export class Upgrades {
  readonly #sockets = new Set<Socket>();
  /** Whether there are routes for them now. */
  takes = false;

  /** True for a request whose connection is to be handed over. */
  readonly isTaken = (request: IncomingMessage): boolean => this.takes && asksForWebSocket(request);

  mount(server: Server, answer: (request: IncomingMessage, response: Response) => void): void {
    server.on("upgrade", (request, socket, head) => {
      if (!(socket instanceof Socket)) return void socket.destroy();
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      // A reset is followed by the close that everybody listens to.
      socket.on("error", () => undefined);
      if (head.length > 0) socket.unshift(head);
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(socket);
      response.once("finish", () => socket.destroySoon());
      answer(request, response);
    });
  }

  /** Ends those that are left when the server has waited long enough. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
