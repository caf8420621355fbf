import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { SelfWritten } from "../edge/index.ts";
import { clientGoodbye, FrameBoundary, serverGoodbye } from "./frame-boundary.ts";
import type { RawFields } from "./headers/raw-fields.ts";
import { responseHead } from "./headers/response-headers.ts";
import type { PhaseWatch, Waiting } from "./phases.ts";

/** What a tunnel is made of. */
export interface TunnelEnds {
  /** As they came with the upstream's 101. */
  readonly rawHeaders: RawFields;
  readonly upstream: Socket;
  readonly watch: PhaseWatch;
  /** Aborts when the server stops. */
  readonly signal: AbortSignal;
  /** Both connections are closed. */
  readonly ended: () => void;
}

/** Whether a 101 says that what follows is a WebSocket. */
export function isToWebSocket(rawHeaders: TunnelEnds["rawHeaders"]): boolean {
  return rawHeaders.some(
    (name, index) =>
      index % 2 === 0 &&
      name.toLowerCase() === "upgrade" &&
      rawHeaders[index + 1]?.toLowerCase() === "websocket",
  );
}

/**
 * An answered WebSocket: bytes both ways at the pace of the slower side, whatever frames they are. A server
 * that stops says goodbye (1001) to each side that stands between two frames; to one in the middle of a
 * frame there is nothing to say. Whatever else ends it, both connections are closed.
 */
export class Tunnel implements SelfWritten, Waiting {
  readonly phase = "tunnel";
  place = 0;
  sinceAt: number;
  readonly #ends: TunnelEnds;
  readonly #toClient = new FrameBoundary();
  readonly #toUpstream = new FrameBoundary();
  #client: Socket | undefined;
  #open = 1;

  constructor(ends: TunnelEnds) {
    this.#ends = ends;
    this.sinceAt = ends.watch.clock.now();
    ends.watch.add(this);
    this.#look(ends.upstream, this.#toClient);
  }

  /** @see {SelfWritten} */
  write(response: ServerResponse, own: readonly string[]): void {
    const { socket } = response;
    const { rawHeaders, upstream, signal } = this.#ends;
    if (socket === null || socket.destroyed || signal.aborted) {
      response.destroy();
      return this.abandon();
    }
    const { headers } = responseHead(rawHeaders, own);
    headers.push("connection", "upgrade", "upgrade", "websocket");
    response.writeHead(101, headers);
    response.flushHeaders();
    this.#client = socket;
    this.#open += 1;
    this.#look(socket, this.#toUpstream);
    socket.pipe(upstream).pipe(socket);
    signal.addEventListener("abort", this.#sayGoodbye, { once: true });
  }

  /** The client has gone; what it sent before still goes to the upstream. */
  abandon(): void {
    if (this.#client === undefined) this.#ends.upstream.destroy();
  }

  expire(): void {
    this.#client?.destroy();
    this.#ends.upstream.destroy();
  }

  #look(socket: Socket, boundary: FrameBoundary): void {
    // The close that follows says all.
    socket.on("error", () => undefined);
    const pass = (piece: Buffer): void => {
      this.sinceAt = this.#ends.watch.clock.now();
      boundary.pass(piece);
    };
    socket.on("data", pass).pause();
    socket.once("close", this.#closed);
  }

  readonly #sayGoodbye = (): void => {
    const { upstream } = this.#ends;
    const client = this.#client;
    if (client === undefined || client.destroyed || upstream.destroyed) return this.#finish();
    // What comes from here on would stand behind the last frame.
    upstream.unpipe(client).resume();
    client.unpipe(upstream).resume();
    if (this.#toClient.isOpen && client.writable) client.write(serverGoodbye());
    if (this.#toUpstream.isOpen && upstream.writable) upstream.write(clientGoodbye());
    this.#finish();
  };

  readonly #closed = (): void => {
    this.#open -= 1;
    if (this.#open > 0) return this.#finish();
    this.#ends.watch.delete(this);
    this.#ends.ended();
  };

  /** Both have what came for them, and nothing more. */
  readonly #finish = (): void => {
    this.#client?.destroySoon();
    this.#ends.upstream.destroySoon();
  };
}
