import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "vitest";
import { answerError, callProvider, type CallInit } from "../../src/resilience/index.ts";
import { manualClock } from "./manual-clock.ts";

const secret = "s3cr3tPathAndHeader";
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  stops.push(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/${secret}`;
}

function call(url: string, init: CallInit = {}, clock = manualClock()): Promise<Response> {
  return callProvider(url, init, { provider: "Acme", timeoutMs: 5_000, maxBodyBytes: 64, clock });
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => expect.unreachable("the call should have failed"),
    (error: unknown) => error as Error,
  );
}

/** Everything that a log would print of an error, causes included. */
function printed(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message}\n${error.stack}\n${error.cause === undefined ? "" : printed(error.cause)}`;
}

describe("a call to a provider", () => {
  test("sends method, headers and body, and returns the whole answer", async () => {
    const url = await serve((request, response) => {
      request.setEncoding("utf8").on("data", (body) => {
        response.setHeader("x-seen", `${request.method} ${String(request.headers["x-a"])} ${body}`);
        response.writeHead(201).end("done");
      });
    });
    const answer = await call(url, { method: "POST", headers: { "x-a": "1" }, body: "hello" });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("x-seen")).toBe("POST 1 hello");
    expect(await answer.text()).toBe("done");
  });

  test("returns an answer without a body", async () => {
    const url = await serve((_request, response) => response.writeHead(204).end());
    expect((await call(url)).status).toBe(204);
  });

  test.each([400, 429, 500, 503])("returns a %d instead of throwing", async (status) => {
    const url = await serve((_request, response) => response.writeHead(status).end("no"));
    expect((await call(url)).status).toBe(status);
  });

  test("leaves no timer behind", async () => {
    const clock = manualClock();
    await call(await serve((_request, response) => response.end("ok")), {}, clock);
    expect(clock.pending).toBe(0);
  });

  test("fails as provider_unreachable when nothing listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const error = await failureOf(call(`http://127.0.0.1:${port}/${secret}`));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(error.message).toBe("Acme could not be reached (ECONNREFUSED)");
    expect(printed(error)).not.toContain(secret);
  });

  test("fails as provider_unreachable when the connection breaks before an answer", async () => {
    const url = await serve((request) => request.socket.resetAndDestroy());
    const error = await failureOf(call(url));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(printed(error)).not.toContain(secret);
  });

  test("fails as provider_unreachable when the connection breaks within the answer", async () => {
    const url = await serve((request, response) => {
      response.writeHead(200, { "content-length": "20" });
      response.write("half", () => request.socket.destroy());
    });
    expect(await failureOf(call(url))).toMatchObject({ code: "provider_unreachable" });
  });

  test.each([
    ["no answer", () => {}],
    ["half an answer", (response: { write(text: string): void }) => response.write("half")],
  ])("fails as provider_timeout when the time is up after %s", async (_case, begin) => {
    const clock = manualClock();
    const url = await serve((_request, response) => {
      begin(response);
      setImmediate(() => clock.expire());
    });
    const error = await failureOf(call(url, {}, clock));
    expect(error).toMatchObject({ code: "provider_timeout", retryable: true, status: 504 });
    expect(error.message).toBe("Acme did not answer within 5000 ms");
  });

  test("fails as provider_call_cancelled when the caller aborts", async () => {
    const caller = new AbortController();
    const url = await serve(() => caller.abort(new Error("lease lost")));
    const error = await failureOf(call(url, { signal: caller.signal }));
    expect(error).toMatchObject({ code: "provider_call_cancelled", retryable: true });
    expect(error.cause).toMatchObject({ message: "lease lost" });
  });

  test("reads an answer of exactly the allowed size and refuses one byte more", async () => {
    const url = await serve((request, response) => {
      response.end("x".repeat(Number(request.headers["x-size"])));
    });
    expect(await (await call(url, { headers: { "x-size": "64" } })).text()).toHaveLength(64);
    const error = await failureOf(call(url, { headers: { "x-size": "65" } }));
    expect(error).toMatchObject({ code: "provider_answer_invalid", retryable: false });
  });

  test("counts the answer's size after decompression", async () => {
    const url = await serve((_request, response) => {
      response.setHeader("content-encoding", "gzip");
      response.end(gzipSync("x".repeat(100_000)));
    });
    expect(await failureOf(call(url))).toMatchObject({ code: "provider_answer_invalid" });
  });

  test.each([301, 302, 303, 307, 308])("does not follow a %d", async (status) => {
    let calls = 0;
    const url = await serve((_request, response) => {
      calls += 1;
      response.writeHead(status, { location: "/elsewhere" }).end();
    });
    const error = await failureOf(call(url));
    expect(error).toMatchObject({ code: "provider_answer_invalid", retryable: false });
    expect(calls).toBe(1);
  });

  test("refuses a status that HTTP does not define", async () => {
    const url = await serve((_request, response) => response.writeHead(799).end());
    expect(await failureOf(call(url))).toMatchObject({ code: "provider_answer_invalid" });
  });

  test.each([
    `not a url ${secret}`,
    `/${secret}`,
    `ftp://127.0.0.1/${secret}`,
    `data:text/plain,${secret}`,
    `https://user:${secret}@127.0.0.1/`,
    `https://:${secret}@127.0.0.1/`,
  ])("refuses the URL %j without quoting it", async (url) => {
    const error = await failureOf(call(url));
    expect(error).toMatchObject({ code: "provider_request_invalid", retryable: false });
    expect(printed(error)).not.toContain(secret);
  });

  test("refuses a header that is no header without quoting it", async () => {
    const headers = { authorization: `Bearer ${secret}\nx: y` };
    const error = await failureOf(call("http://127.0.0.1:1/", { headers }));
    expect(error).toMatchObject({ code: "provider_request_invalid", retryable: false });
    expect(printed(error)).not.toContain(secret);
  });
});

describe("the error of a failing answer", () => {
  const clock = manualClock(Date.UTC(2026, 10, 21));

  test.each([
    [429, "provider_rate_limited", true],
    [500, "provider_error", true],
    [502, "provider_error", true],
    [503, "provider_error", true],
    [408, "provider_error", true],
    [425, "provider_error", true],
    [400, "provider_rejected", false],
    [401, "provider_rejected", false],
    [404, "provider_rejected", false],
    [410, "provider_rejected", false],
  ])("%d is %s", (status, code, retryable) => {
    const error = answerError(new Response(null, { status }), "Acme", { clock });
    expect(error).toMatchObject({ code, retryable, type: "provider_error" });
    expect(error.message).toBe(`Acme answered ${status}`);
    expect(error.retryAfterSeconds).toBeUndefined();
  });

  test.each(["17", "Sat, 21 Nov 2026 00:00:17 GMT"])("carries Retry-After %j", (value) => {
    const answer = new Response(null, { status: 429, headers: { "retry-after": value } });
    const error = answerError(answer, "Acme", { clock, reason: "too_fast" });
    expect(error.retryAfterSeconds).toBe(17);
    expect(error.message).toBe("Acme answered 429 too_fast");
  });
});
