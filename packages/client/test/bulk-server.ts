import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A job of the server, as its status tells it. */
export interface BulkJob {
  readonly jobId: string;
  status: string;
  readonly total: number;
  processed: number;
  failed: number;
}

/** A small server that speaks the surface of `/bulk-messages`; the test moves its jobs. */
export interface BulkServer extends AsyncDisposable {
  readonly url: string;
  readonly jobs: readonly BulkJob[];
  /** `POST /bulk-messages/1/cancel`, in order. */
  readonly received: readonly string[];
  readonly keys: readonly (string | undefined)[];
  /** Event streams that are open now. */
  readonly listeners: () => number;
  /** Off: the events are not found, and jobs can only be asked for. */
  hasEvents: boolean;
  /** Off: every request is cut without an answer. */
  isUp: boolean;
  /** On: submissions are taken, and the connection is cut before the answer. */
  cutsAnswers: boolean;
  /** Holds submissions back until it is called again with false. */
  hold(held: boolean): void;
  change(job: BulkJob | undefined, change: Partial<BulkJob>): void;
  /** Ends the event streams, as a restart does. */
  dropListeners(): void;
}

/** `page` answers every other path: HTML and scripts of the page under test. */
export async function startBulkServer(
  page: (path: string) => { readonly type: string; readonly text: string } | undefined = () =>
    undefined,
): Promise<BulkServer> {
  const jobs: BulkJob[] = [];
  const received: string[] = [];
  const keys: (string | undefined)[] = [];
  const byKey = new Map<string, BulkJob>();
  const streams = new Map<ServerResponse, BulkJob>();
  let held: (() => void)[] | undefined;
  let eventId = 0;

  function tell(stream: ServerResponse, job: BulkJob): void {
    stream.write(`id: ${(eventId += 1)}\nevent: progress\ndata: ${JSON.stringify(job)}\n\n`);
  }

  function submit(request: IncomingMessage, body: string): BulkJob {
    const key = request.headers["idempotency-key"];
    keys.push(typeof key === "string" ? key : undefined);
    const known = byKey.get(String(key));
    if (known !== undefined) return known;
    const { messages } = JSON.parse(body) as { messages: unknown[] };
    const jobId = String(jobs.length + 1);
    const job = { jobId, status: "QUEUED", total: messages.length, processed: 0, failed: 0 };
    jobs.push(job);
    byKey.set(String(key), job);
    return job;
  }

  function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const { method = "", url = "" } = request;
    received.push(`${method} ${url}`);
    if (method === "POST" && url === "/bulk-messages") {
      const job = submit(request, body);
      const { jobId } = job;
      const statusUrl = `/bulk-messages/${jobId}/status`;
      const send = () => sendJson(response, 202, { jobId, status: "QUEUED", statusUrl });
      if (server.cutsAnswers) request.socket.destroy();
      else if (held === undefined) send();
      else held.push(send);
      return;
    }
    const [, id, part] = /^\/bulk-messages\/(\d+)\/(\w+)$/.exec(url) ?? [];
    const job = jobs.find(({ jobId }) => jobId === id);
    if (job !== undefined && part === "status") sendJson(response, 200, job);
    else if (job !== undefined && part === "cancel") {
      change(job, { status: "CANCELED" });
      sendJson(response, 200, job);
    } else if (job !== undefined && part === "events" && server.hasEvents) listen(response, job);
    else sendPage(response, url);
  }

  function listen(response: ServerResponse, job: BulkJob): void {
    response.writeHead(200, { "content-type": "text/event-stream" });
    streams.set(response, job);
    response.on("close", () => streams.delete(response));
    tell(response, job);
  }

  function sendPage(response: ServerResponse, url: string): void {
    const found = page(url);
    if (found === undefined) {
      const error = { type: "not_found_error", code: "not_found", message: "Not found" };
      sendJson(response, 404, { error });
    } else response.writeHead(200, { "content-type": found.type }).end(found.text);
  }

  function change(job: BulkJob | undefined, changed: Partial<BulkJob>): void {
    if (job === undefined) throw new Error("There is no such job");
    Object.assign(job, changed);
    for (const [stream, watched] of streams) if (watched === job) tell(stream, job);
  }

  const http = createServer((request, response) => {
    if (!server.isUp) request.socket.destroy();
    else void readBody(request).then((body) => answer(request, response, body));
  });
  const server: BulkServer = {
    url: await listening(http),
    jobs,
    received,
    keys,
    listeners: () => streams.size,
    hasEvents: true,
    isUp: true,
    cutsAnswers: false,
    hold(isHeld) {
      const waiting = held ?? [];
      held = isHeld ? [] : undefined;
      for (const send of waiting) send();
    },
    change,
    dropListeners() {
      for (const stream of streams.keys()) stream.end();
    },
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise<void>((closed) => void http.close(() => closed()));
    },
  };
  return server;
}

async function listening(server: Server): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${port}`;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
