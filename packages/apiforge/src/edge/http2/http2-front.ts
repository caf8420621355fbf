import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { constants, createServer, type ServerHttp2Session } from "node:http2";
import type { TLSSocket } from "node:tls";

import type { Clock } from "../../kernel/index.ts";
import { answerExpectation, refuseConnect } from "../client-error.ts";
import { FrameBudget } from "./frame-budget.ts";
import { Http2Request } from "./http2-request.ts";
import { Http2Response } from "./http2-response.ts";

/** What a server answers requests with, of whatever version. */
type AnswerRequest = (request: IncomingMessage, response: ServerResponse) => void;

/** What is offered by ALPN, the better first. */
export const protocols = ["h2", "http/1.1"];

/** What all requests of one connection may take up; what follows in the table is Node's or nghttp2's own. */
const sessionOptions = {
  settings: {
    enablePush: false,
    // Node's own is 4,294,967,295.
    maxConcurrentStreams: 100,
    // 16 KiB, as over HTTP/1.1, and what RFC 9113 section 6.5.2 adds for each of a hundred fields.
    maxHeaderListSize: 16_384 + 100 * 32,
  },
  // A browser that leaves a page resets what it still waits for; who goes on is cut off (CVE-2023-44487).
  streamResetBurst: 200,
  streamResetRate: 20,
} as const;

/** Takes the connections of a TLS server that are to be HTTP/2; the others it leaves as they are. */
export class Http2Front {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #sessions = new Set<ServerHttp2Session>();
  #isDraining = false;
  #isClosing = false;

  /** @param idleMs how long a connection stays open on which nothing happens. */
  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** @param server of TLS, whose own listener speaks HTTP/1.1. */
  mount(server: Server, answer: AnswerRequest): void {
    const http2 = createServer({
      ...sessionOptions,
      Http2ServerRequest: Http2Request,
      Http2ServerResponse: Http2Response,
    });
    http2.on("session", (session) => this.#look(session));
    http2.on("request", (request, response) => answer(...asHttp1(request, response)));
    http2.on("checkExpectation", (request, response) =>
      answerExpectation(...asHttp1(request, response)),
    );
    http2.on("connect", (request, response) => refuseConnect(...asHttp1(request, response)));
    const others = server.listeners("secureConnection");
    server.removeAllListeners("secureConnection");
    server.on("secureConnection", (socket: TLSSocket) => {
      if (socket.alpnProtocol === "h2") http2.emit("connection", socket);
      else for (const listener of others) Reflect.apply(listener, server, [socket]);
    });
  }

  /**
   * Has clients send no new requests (GOAWAY), and closes each connection when those that are under way
   * have their answers. What a client has sent before it could know was not looked at, which the number in
   * the GOAWAY tells it (RFC 9113 section 6.8), so it may send it again elsewhere. A first GOAWAY that
   * leaves this open has Node read no more from a client that closes its side.
   */
  close(): void {
    this.#isClosing = true;
    for (const session of this.#sessions) session.close();
  }

  /**
   * As {@link close}, for each connection with its next request, which is answered: one on which nothing is under way
   * may have a request on its way, and once there is a GOAWAY Node reads of such a connection no more. Those on which
   * nothing comes end when they have been idle.
   */
  drain(): void {
    this.#isDraining = true;
    for (const session of this.#sessions) closeWithNext(session);
  }

  /** Ends those that are left when the server has waited long enough. */
  destroyAll(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #look(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
    session.setTimeout(this.#idleMs, () => session.close());
    const budget = new FrameBudget(this.#clock);
    const spend = (): void => {
      if (!budget.spend()) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
    };
    session.on("ping", spend);
    session.on("remoteSettings", spend);
    if (this.#isClosing) session.close();
    else if (this.#isDraining) closeWithNext(session);
  }
}

function closeWithNext(session: ServerHttp2Session): void {
  session.once("stream", () => session.close());
}

/** Fastify and the stages use of both what they have in common. */
function asHttp1(request: unknown, response: unknown): [IncomingMessage, ServerResponse] {
  return [request as IncomingMessage, response as ServerResponse];
}
