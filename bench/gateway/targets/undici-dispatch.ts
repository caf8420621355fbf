import { createServer, type ServerResponse } from "node:http";
import { Pool, type Dispatcher } from "undici";
import { connections, readSettings } from "../settings.ts";

/** The least that a proxy on undici does: the ceiling of ours. */
const { port, upstream } = readSettings();
const pool = new Pool(upstream, { connections, headersTimeout: 0, bodyTimeout: 0 });
const endHere: ReadonlySet<string> = new Set(["connection", "host", "keep-alive"]);

createServer((request, response) => {
  const { url: path = "/", method = "GET" } = request;
  pool.dispatch({ path, method, headers: passed(request.rawHeaders), body: null }, relay(response));
}).listen(port, "127.0.0.1");

function relay(response: ServerResponse): Dispatcher.DispatchHandler {
  return {
    onRequestStart(controller) {
      // Without it, an answer that a client does not wait for keeps its connection for ever.
      response.once("close", () => {
        if (!response.writableFinished) controller.abort(new Error("client gone"));
      });
    },
    onResponseStart(controller, status) {
      const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
      response.writeHead(status, passed(raw.map((part) => part.toString("latin1"))));
    },
    onResponseData(controller, chunk) {
      if (response.write(chunk)) return;
      controller.pause();
      response.once("drain", () => controller.resume());
    },
    onResponseEnd: () => void response.end(),
    onResponseError: () => void response.destroy(),
  };
}

function passed(raw: readonly string[]): string[] {
  const left: string[] = [];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] ?? "";
    if (!endHere.has(name.toLowerCase())) left.push(name, raw[index + 1] ?? "");
  }
  return left;
}
