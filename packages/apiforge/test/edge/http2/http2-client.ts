import { once } from "node:events";
import {
  connect,
  type ClientHttp2Session,
  type ClientSessionOptions,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from "node:http2";
import { connect as connectTls, type TLSSocket } from "node:tls";

/** What one stream brought. */
export interface Http2Answer {
  readonly headers: IncomingHttpHeaders;
  readonly interim: readonly IncomingHttpHeaders[];
  readonly trailers: IncomingHttpHeaders;
  readonly body: string;
  /** 0 for a stream that ended as it should. */
  readonly resetCode: number;
}

/** A connection of HTTP/2 to a server on the loopback. */
export async function connectHttp2(
  port: number,
  options: ClientSessionOptions & SecureClientSessionOptions,
): Promise<ClientHttp2Session> {
  const session = connect(`https://127.0.0.1:${port}`, options);
  session.on("error", () => undefined);
  await once(session, "connect");
  return session;
}

/** Asks once. @param body pieces, each written when the one before has left. */
export async function callHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | readonly Buffer[],
): Promise<Http2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  const interim: IncomingHttpHeaders[] = [];
  let answered: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const pieces: Buffer[] = [];
  stream.on("headers", (fields) => interim.push(fields));
  stream.on("response", (fields) => (answered = fields));
  stream.on("trailers", (fields) => (trailers = fields));
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  // The code of its reset says what there is to say.
  stream.on("error", () => undefined);
  if (typeof body === "string") stream.end(body);
  else if (body !== undefined) {
    for (const piece of body) stream.write(piece);
    stream.end();
  }
  await new Promise((resolve) => {
    stream.once("close", resolve);
  });
  const text = Buffer.concat(pieces).toString();
  return { headers: answered, interim, trailers, body: text, resetCode: stream.rstCode };
}

/** One frame (RFC 9113 section 4.1). */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const frameTypes = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const;
export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const;

/** A client that writes frames as a test says. */
export class RawHttp2 {
  readonly received: Frame[] = [];
  readonly #socket: TLSSocket;
  #unread = Buffer.alloc(0);

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  static async connect(port: number, ca: string): Promise<RawHttp2> {
    const socket = connectTls({ host: "127.0.0.1", port, ca, ALPNProtocols: ["h2"] });
    const raw = new RawHttp2(socket);
    await once(socket, "secureConnect");
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    raw.write({ type: frameTypes.settings, flags: 0, stream: 0, payload: Buffer.alloc(0) });
    return raw;
  }

  get isClosed(): boolean {
    return this.#socket.closed || this.#socket.readableEnded;
  }

  write({ type, flags: bits, stream, payload }: Frame): void {
    if (this.#socket.writable) this.#socket.write(framed(type, bits, stream, payload));
  }

  /** A request without a body; names and values as they are, unlike any library would let them pass. */
  request(stream: number, fields: readonly (readonly [string, string])[], endStream = true): void {
    const bits = flags.endHeaders | (endStream ? flags.endStream : 0);
    this.write({ type: frameTypes.headers, flags: bits, stream, payload: literal(fields) });
  }

  ofType(type: number): Frame[] {
    return this.received.filter((frame) => frame.type === type);
  }

  /** The error code of the first RST_STREAM of a stream; undefined before it. */
  resetOf(stream: number): number | undefined {
    const reset = this.ofType(frameTypes.reset).find((frame) => frame.stream === stream);
    return reset?.payload.readUInt32BE(0);
  }

  /** The error code of the last GOAWAY; undefined before it. */
  get goaway(): number | undefined {
    return this.ofType(frameTypes.goaway).at(-1)?.payload.readUInt32BE(4);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    while (this.#unread.length >= 9) {
      const end = 9 + this.#unread.readUIntBE(0, 3);
      if (this.#unread.length < end) return;
      const [type = 0, bits = 0] = this.#unread.subarray(3);
      const stream = this.#unread.readUInt32BE(5) & 0x7fffffff;
      this.received.push({ type, flags: bits, stream, payload: this.#unread.subarray(9, end) });
      this.#unread = this.#unread.subarray(end);
    }
  }
}

function framed(type: number, bits: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(bits, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Fields without an index and without Huffman's code (RFC 7541 section 6.2.2). */
export function literal(fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), lengthAnd(name), lengthAnd(value)]),
  );
}

function lengthAnd(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
