import type { IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import type { TLSSocket } from "node:tls";

/** What a server answered, and on which connection. */
export interface HttpsAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly socket: TLSSocket;
}

/** Of a call over TLS. */
export interface HttpsCall extends RequestOptions {
  /** Of an earlier connection, to go on with. */
  readonly session?: Buffer;
  readonly body?: string;
}

/** Calls a server on the loopback, on a connection of its own unless an agent is given. */
export async function callHttps(port: number, path: string, call: HttpsCall): Promise<HttpsAnswer> {
  const { body, ...options } = call;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const given = { host: "127.0.0.1", port, path, agent: false, ...options };
  httpsRequest(given, resolve).on("error", reject).end(body);
  const answer = await promise;
  const socket = answer.socket as TLSSocket;
  const chunks = await Array.fromAsync(answer as AsyncIterable<Buffer>);
  const text = Buffer.concat(chunks).toString("utf8");
  return { status: answer.statusCode ?? 0, body: JSON.parse(text), socket };
}
