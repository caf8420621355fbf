import { connect, constants, type ClientHttp2Session } from "node:http2";

import { maxProbeBytes, type HealthProbe, type ProbeConnection } from "../health-probe.ts";
import { timeoutText } from "./deadline.ts";
import { healthQuestion, saysServing } from "./health-message.ts";

const check = "/grpc.health.v1.Health/Check";

/** What is asked, and where. */
export interface GrpcQuestion {
  /** Of the endpoint, in front of every path. */
  readonly basePath: string;
  readonly service: string;
  /** Told to the server, which need not answer later. */
  readonly timeoutMs: number;
}

/**
 * Asks by the health checking protocol of gRPC (grpc.health.v1, `Check`): well is what says SERVING. A server that does
 * not know the protocol, or the service, says that it is not.
 */
export class GrpcProbe implements HealthProbe {
  readonly #connection: ProbeConnection;
  readonly #head: Readonly<Record<string, string>>;
  readonly #question: Buffer;
  #session: ClientHttp2Session | undefined;

  constructor(connection: ProbeConnection, { basePath, service, timeoutMs }: GrpcQuestion) {
    const { protocol, host } = new URL(connection.origin);
    this.#connection = connection;
    this.#question = healthQuestion(service);
    this.#head = {
      ":method": "POST",
      ":scheme": protocol.slice(0, -1),
      ":authority": host,
      ":path": basePath + check,
      "content-type": "application/grpc",
      "grpc-timeout": timeoutText(timeoutMs),
      te: "trailers",
    };
  }

  ask(late: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const session = this.#open();
    const stream = session.request(this.#head);
    const pieces: Buffer[] = [];
    let bytes = 0;
    let status: unknown;
    let grpcStatus: unknown;
    // A connection that is silent may be gone without a word, so the next question opens another one.
    const giveUp = (): void => session.destroy();
    late.addEventListener("abort", giveUp, { once: true });
    stream.on("response", (head) => {
      status = head[":status"];
      grpcStatus = head["grpc-status"];
    });
    stream.on("trailers", (trailer) => (grpcStatus = trailer["grpc-status"]));
    stream.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= maxProbeBytes) pieces.push(piece);
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    // Its close says as much.
    stream.on("error", () => undefined);
    stream.once("close", () => {
      late.removeEventListener("abort", giveUp);
      resolve(status === 200 && grpcStatus === "0" && saysServing(Buffer.concat(pieces)));
    });
    stream.end(this.#question);
    return promise;
  }

  async close(): Promise<void> {
    this.#session?.destroy();
  }

  #open(): ClientHttp2Session {
    const open = this.#session;
    if (open !== undefined && !open.closed && !open.destroyed) return open;
    const { origin, tls } = this.#connection;
    const session = connect(origin, { ...tls, settings: { enablePush: false } });
    // Its streams end with it, and tell.
    session.on("error", () => undefined);
    this.#session = session;
    return session;
  }
}
