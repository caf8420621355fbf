import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import {
  defineProxy,
  upstream,
  type ProxyOptions,
  type Upstream,
  type UpstreamOptions,
} from "../../src/gateway/index.ts";
import { ManualClock, startHarness, type Harness } from "../edge/edge-harness.ts";

/** What an upstream does with a request that it has read. */
export type Script = (socket: Socket, request: string, requestNumber: number) => void;

/** An upstream that writes bytes as a test says, HTTP or not. */
export interface RawUpstream {
  readonly url: string;
  /** Everything that came, by connection. */
  readonly received: string[];
  readonly sockets: Set<Socket>;
  close(): Promise<void>;
}

export async function startRawUpstream(script: Script): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  let requests = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    const index = received.push("") - 1;
    let unread = "";
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (bytes: Buffer) => {
      received[index] += bytes.toString("latin1");
      unread += bytes.toString("latin1");
      if (!unread.includes("\r\n\r\n")) return;
      const request = unread;
      unread = "";
      requests += 1;
      script(socket, request, requests);
    });
  });
  return { url: await listen(server), received, sockets, close: () => close(server, sockets) };
}

async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server, sockets: Set<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, "close");
}

/** What a client saw on its connection. */
export interface Seen {
  readonly status: number;
  readonly head: string;
  readonly body: string;
  /** False when the connection ended before the answer did. */
  readonly isWhole: boolean;
}

export interface GatewayHarness extends Harness {
  readonly url: string;
  readonly port: number;
  /** What timeouts of the upstream go by. */
  readonly upstreamClock: ManualClock;
  /** Writes `bytes` and reads until the connection closes. */
  ask(bytes: string): Promise<Seen>;
  readonly behind: Upstream;
}

/** A gateway whose every path leads to `endpoints`. */
export async function startGateway(
  endpoints: readonly string[],
  {
    proxy = {},
    upstreamOptions = {},
    edge = {},
  }: {
    readonly proxy?: Partial<ProxyOptions>;
    readonly upstreamOptions?: Partial<UpstreamOptions>;
    readonly edge?: Parameters<typeof startHarness>[1];
  } = {},
): Promise<GatewayHarness> {
  const upstreamClock = new ManualClock();
  const behind = upstream({ name: "behind", endpoints, clock: upstreamClock, ...upstreamOptions });
  const routes = defineProxy({ path: "/*", auth: "none", upstream: behind, ...proxy });
  const harness = await startHarness(routes, edge);
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  const port = Number(new URL(url).port);
  return {
    ...harness,
    url,
    port,
    upstreamClock,
    behind,
    ask: (bytes) => ask(port, bytes),
  };
}

async function ask(port: number, bytes: string): Promise<Seen> {
  const socket = connect(port, "127.0.0.1");
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  let isReset = false;
  socket.on("error", () => (isReset = true));
  socket.write(bytes, "latin1");
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
  });
  return seen(Buffer.concat(pieces).toString("latin1"), isReset);
}

function seen(text: string, isReset: boolean): Seen {
  const [head = "", body = ""] = text.split(/\r\n\r\n(.*)/s, 2);
  const status = Number(head.split(" ")[1]);
  const length = /^content-length: (\d+)/im.exec(head)?.[1];
  const isChunked = /^transfer-encoding: chunked/im.test(head);
  const hasAll = isChunked
    ? body.includes("\r\n0\r\n") || body.startsWith("0\r\n")
    : length === undefined || body.length === Number(length);
  return { status, head, body, isWhole: status > 0 && hasAll && !isReset };
}
