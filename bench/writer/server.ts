import { fstatSync, openSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { variants } from "./variants/index.ts";
import type { Writer, WriterReport } from "./writer.ts";

/** What the server measured since the last reset. */
export interface ServerReport extends WriterReport {
  readonly loopDelayP50Ms: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  /** The size of the log file, which keeps its largest extent. */
  readonly logBytes: number;
}

const resolutionMs = 1;

const path = process.env.WRITER_DATABASE ?? "";
const open = variants[process.env.WRITER_VARIANT ?? ""];
if (path === "" || open === undefined)
  throw new Error("WRITER_DATABASE or WRITER_VARIANT unknown.");

const writer = await open(path);
const logFile = openSync(`${path}-wal`, "r");
const loopDelay = monitorEventLoopDelay({ resolution: resolutionMs });
loopDelay.enable();
const server = createServer((request, response) => receive(writer, request, response));
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(`ready on http://127.0.0.1:${address.port} `);
  }
});

process.on("message", (message) => {
  if (message === "reset") {
    loopDelay.reset();
    writer.reset();
    process.send?.("reset");
  } else {
    process.send?.(report());
  }
});
process.once("SIGTERM", () => {
  server.close(() => void writer.close().then(() => process.exit(0)));
  server.closeAllConnections();
});

function receive(to: Writer, request: IncomingMessage, response: ServerResponse): void {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string") {
    response.writeHead(400).end();
    return;
  }
  let body = "";
  request.setEncoding("utf8");
  request.on("data", (text: string) => (body += text));
  request.on("end", () =>
    to.submit({
      key,
      body,
      answer: (answer) => {
        response.writeHead(answer.status, {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(answer.body),
        });
        response.end(answer.body);
      },
    }),
  );
}

function report(): ServerReport {
  // The histogram holds the distance between ticks; the tick itself is not a delay.
  const delayMs = (ns: number) => Math.max(0, ns / 1e6 - resolutionMs);
  return {
    ...writer.report(),
    loopDelayP50Ms: delayMs(loopDelay.percentile(50)),
    loopDelayP99Ms: delayMs(loopDelay.percentile(99)),
    loopDelayMaxMs: delayMs(loopDelay.max),
    logBytes: fstatSync(logFile).size,
  };
}
