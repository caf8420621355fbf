import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it arrived. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Answers one request. */
export type Turn = (response: ServerResponse, request: Received) => void;

/** A real HTTP server that answers as it is told. */
export interface ScriptedServer extends AsyncDisposable {
  readonly url: string;
  readonly received: readonly Received[];
  /** One turn per request; the last one repeats. */
  script(...turns: readonly Turn[]): void;
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  const received: Received[] = [];
  let pending: Turn[] = [];
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { method = "", url = "" } = request;
      const headers = request.headers as Record<string, string | undefined>;
      const arrived = { method, url, headers, body };
      received.push(arrived);
      const turn = pending.length > 1 ? pending.shift() : pending[0];
      if (turn === undefined) throw new Error(`Nothing is scripted for ${method} ${url}`);
      turn(response, arrived);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    script(...turns) {
      pending = [...turns];
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((closed) => void server.close(() => closed()));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

/** Answers with a status, a JSON body and headers. */
export function json(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Turn {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** Answers with the API's error envelope. */
export function failure(
  status: number,
  code: string,
  headers: Readonly<Record<string, string>> = {},
): Turn {
  const error = { type: "some_error", code, message: `It is ${code}`, requestId: "req_1" };
  return json(status, { error }, headers);
}

/** Reads the request and breaks the connection without an answer. */
export const hangUp: Turn = (response) => void response.socket?.resetAndDestroy();

/** Never answers. */
export const silence: Turn = () => undefined;

/** Answers with a stream that stays open until the test or the client ends it. */
export function stream(
  contentType: string,
  ...chunks: readonly string[]
): { readonly turn: Turn; readonly responses: ServerResponse[] } {
  const responses: ServerResponse[] = [];
  return {
    responses,
    turn(response) {
      responses.push(response);
      response.writeHead(200, { "content-type": contentType });
      response.flushHeaders();
      for (const chunk of chunks) response.write(chunk);
    },
  };
}
