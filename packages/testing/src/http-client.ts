import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { withinDeadline } from "./deadline.ts";

/** A request; at most one of `body` and `rawBody`. */
export interface HttpRequest {
  /** Default `GET`. */
  readonly method?: string;
  /** Path and query, sent as they are. */
  readonly path: string;
  /** An array is sent as that many header lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as JSON, with its content type unless `headers` has one. */
  readonly body?: unknown;
  /** Sent as it is, without a content type. */
  readonly rawBody?: string | Uint8Array;
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  /** Breaks the connection when aborted; the request then rejects. */
  readonly signal?: AbortSignal;
}

/** A whole response. */
export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; several lines of one name are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Every header line as it came, in order. */
  readonly headerLines: readonly (readonly [name: string, value: string])[];
  /** The body as UTF-8 text. */
  readonly body: string;
  readonly bytes: Buffer;
  /**
   * The body as JSON.
   * @throws Error with status and body when it is not JSON.
   */
  json(): unknown;
}

/** A bare connection, for what no well-behaved client sends. */
export interface RawConnection {
  /** Resolves when the bytes are handed to the kernel. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Sends FIN and goes on reading. */
  end(): void;
  /** Sends RST. */
  reset(): void;
  /** Everything received so far, as UTF-8 text. */
  received(): string;
  /**
   * Waits until the server closes the connection, and returns everything received. A reset is a
   * close.
   * @throws Error with what was received when the server has not closed after 10 seconds.
   */
  closed(): Promise<string>;
}

/** A keep-alive client of one server. */
export interface HttpClient extends AsyncDisposable {
  request(request: HttpRequest): Promise<HttpResponse>;
  /** Opens a connection of its own. */
  connect(): Promise<RawConnection>;
  /** Sends exactly these bytes on a connection of its own; returns what comes until it is closed. */
  raw(bytes: string | Uint8Array): Promise<string>;
  /**
   * Sends the head of `request` with its full length and the first `sentBytes` of its body, then
   * resets the connection.
   */
  abortMidBody(request: HttpRequest, sentBytes: number): Promise<void>;
  /** Closes the connections that are kept open. */
  close(): Promise<void>;
}

const closeDeadlineMs = 10_000;

/** Whom a client over TLS trusts, and what it proves itself by; in PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

/**
 * Makes a client for the server at `baseUrl`; no connection is opened yet. With `tls` its requests go
 * over TLS; bare connections are of `http:` only.
 */
export function createHttpClient(baseUrl: string, tls?: ClientTls): HttpClient {
  const base = new URL(baseUrl);
  const address = { host: base.hostname, port: Number(base.port === "" ? "80" : base.port) };
  const agent =
    tls === undefined ? new Agent({ keepAlive: true }) : new TlsAgent({ keepAlive: true, ...tls });
  const send = tls === undefined ? httpRequest : tlsRequest;

  async function openConnection(): Promise<RawConnection> {
    const socket = connect({ ...address, noDelay: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("error", reject);
    socket.once("connect", resolve);
    await promise;
    socket.off("error", reject);
    return rawConnection(socket);
  }

  async function close(): Promise<void> {
    agent.destroy();
  }

  return {
    async request(request) {
      const body = bodyBytes(request);
      const outgoing = send({
        ...address,
        agent,
        method: request.method ?? "GET",
        path: request.path,
        headers: headerLines(request, body, base.host).flat(),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
      return receive(outgoing, body);
    },
    connect: openConnection,
    async raw(bytes) {
      const connection = await openConnection();
      await connection.write(bytes);
      return connection.closed();
    },
    async abortMidBody(request, sentBytes) {
      const body = bodyBytes(request);
      if (body === undefined) throw new Error("A request without a body has no middle");
      const lines = headerLines(request, body, base.host).map(([name, value]) => {
        return `${name}: ${value}\r\n`;
      });
      const connection = await openConnection();
      const method = request.method ?? "GET";
      await connection.write(`${method} ${request.path} HTTP/1.1\r\n${lines.join("")}\r\n`);
      await connection.write(body.subarray(0, sentBytes));
      connection.reset();
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function bodyBytes({ body, rawBody }: HttpRequest): Buffer | undefined {
  if (body !== undefined && rawBody !== undefined) {
    throw new Error("A request has a body or a rawBody, not both");
  }
  if (body !== undefined) return Buffer.from(JSON.stringify(body));
  return rawBody === undefined ? undefined : Buffer.from(rawBody);
}

type HeaderLine = readonly [name: string, value: string];

const methodsWithBody = new Set(["POST", "PUT", "PATCH"]);

function headerLines(
  request: HttpRequest,
  body: Buffer | undefined,
  host: string,
): readonly HeaderLine[] {
  const { headers = {}, token, method = "GET" } = request;
  const given = Object.entries(headers).flatMap(([name, value]) => {
    return [value].flat().map((line): HeaderLine => [name, line]);
  });
  const names = new Set(given.map(([name]) => name.toLowerCase()));
  const implied: HeaderLine[] = [];
  const imply = (name: string, value: string): void => {
    if (!names.has(name)) implied.push([name, value]);
  };
  imply("host", host);
  if (token !== undefined) imply("authorization", `Bearer ${token}`);
  if (request.body !== undefined) imply("content-type", "application/json");
  if (!names.has("transfer-encoding") && (body !== undefined || methodsWithBody.has(method))) {
    imply("content-length", String(body?.length ?? 0));
  }
  return [...implied, ...given];
}

async function receive(outgoing: ClientRequest, body: Buffer | undefined): Promise<HttpResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.once("response", resolve);
  // `on`: a server that answers early and closes can make the rest of the body fail afterwards.
  outgoing.on("error", reject);
  outgoing.end(body);
  const incoming = await promise;
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return httpResponse(incoming, Buffer.concat(chunks));
}

function httpResponse(incoming: IncomingMessage, bytes: Buffer): HttpResponse {
  const status = incoming.statusCode ?? 0;
  const body = bytes.toString("utf8");
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    headers[name] = (values ?? []).join(", ");
  }
  return {
    status,
    headers,
    headerLines: pairs(incoming.rawHeaders),
    body,
    bytes,
    json() {
      try {
        return JSON.parse(body) as unknown;
      } catch (error) {
        throw new Error(`Status ${status}, not JSON: ${body}`, { cause: error });
      }
    },
  };
}

function pairs(flat: readonly string[]): HeaderLine[] {
  const lines: HeaderLine[] = [];
  for (let index = 0; index < flat.length; index += 2) {
    lines.push([flat[index] ?? "", flat[index + 1] ?? ""]);
  }
  return lines;
}

function rawConnection(socket: Socket): RawConnection {
  const chunks: Buffer[] = [];
  const received = (): string => Buffer.concat(chunks).toString("utf8");
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  // A reset shows as what was received up to it.
  socket.on("error", () => undefined);
  socket.once("close", () => {
    resolve();
  });
  return {
    write(bytes) {
      const { promise, resolve: written } = Promise.withResolvers<void>();
      // A server may refuse and close before it has read everything; that is its answer to see.
      socket.write(bytes, () => {
        written();
      });
      return promise;
    },
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    received,
    async closed() {
      await withinDeadline(
        ended,
        closeDeadlineMs,
        () => `The server keeps the connection open. Received: ${received()}`,
      );
      return received();
    },
  };
}
