import { until } from "@apiforge/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { ApiError, createClient, type ClientOptions } from "../src/index.ts";
import {
  failure,
  hangUp,
  json,
  silence,
  startScriptedServer,
  type ScriptedServer,
} from "./scripted-server.ts";
import { timeoutMs, WaitingClock } from "./waiting-clock.ts";

let server: ScriptedServer;
let clock: WaitingClock;

beforeEach(async () => {
  server = await startScriptedServer();
  clock = new WaitingClock();
});
afterEach(() => server[Symbol.asyncDispose]());

function client(options: ClientOptions = {}) {
  return createClient({ baseUrl: server.url, clock, random: () => 0, timeoutMs, ...options });
}

async function errorOf(call: Promise<unknown>): Promise<ApiError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiError)) throw new Error(`No ApiError: ${String(error)}`);
  return error;
}

function keysReceived(): (string | undefined)[] {
  return server.received.map(({ headers }) => headers["idempotency-key"]);
}

describe("a request", () => {
  test("carries token, headers, parameters, query and body; the answer comes back whole", async () => {
    server.script(json(201, { id: 1 }, { "x-request-id": "req_9", "idempotent-replayed": "true" }));
    const answer = await client({ token: "secret", headers: { "x-app": "web" } }).request(
      "POST",
      "/projects/:id/notes",
      {
        params: { id: "a/b ?" },
        query: { tag: ["x", "y&z"], deep: true, n: 2, none: undefined },
        body: { text: "hello" },
        headers: { "x-call": "1" },
      },
    );
    expect(answer).toMatchObject({
      status: 201,
      body: { id: 1 },
      requestId: "req_9",
      isReplay: true,
    });
    expect(server.received).toHaveLength(1);
    expect(server.received[0]).toMatchObject({
      method: "POST",
      url: "/projects/a%2Fb%20%3F/notes?tag=x&tag=y%26z&deep=true&n=2",
      body: `{"text":"hello"}`,
      headers: {
        authorization: "Bearer secret",
        "content-type": "application/json",
        accept: "application/json",
        "x-app": "web",
        "x-call": "1",
      },
    });
  });

  test("an answer without a body has none", async () => {
    server.script((response) => void response.writeHead(204).end());
    expect(await client().request("DELETE", "/a")).toMatchObject({ status: 204, body: undefined });
  });

  test("the token is asked for anew before each attempt", async () => {
    server.script(failure(503, "busy"), json(200, {}));
    let asked = 0;
    const call = client({ token: async () => `t${(asked += 1)}` }).request("GET", "/a");
    await clock.pass(1);
    await call;
    expect(server.received.map(({ headers }) => headers["authorization"])).toEqual([
      "Bearer t1",
      "Bearer t2",
    ]);
  });

  test.each(["https://evil.example/a", "//evil.example/a", "/\\evil.example/a", "a"])(
    "%s is refused, as it may lead to another origin",
    async (url) => {
      await expect(client({ token: "secret" }).request("GET", url)).rejects.toThrow(TypeError);
      expect(server.received).toEqual([]);
    },
  );

  test.each([
    [{ params: {} }, "params.id"],
    [{ params: { id: "" } }, "params.id"],
    [{ params: { id: ".." } }, "params.id"],
    [{ params: { id: "a" }, query: { q: { deep: 1 } } }, "query.q"],
  ])("%j cannot be written into a URL", async (options, name) => {
    await expect(client().request("GET", "/a/:id", options)).rejects.toThrow(name);
    expect(server.received).toEqual([]);
  });

  test.each([{ attempts: 0 }, { attempts: 1.5 }, { timeoutMs: 0 }, { timeoutMs: Number.NaN }])(
    "%j is refused",
    (options) => {
      expect(() => createClient(options)).toThrow(RangeError);
    },
  );
});

describe("failures", () => {
  test("the envelope's facts are the error's", async () => {
    const error = {
      type: "payment_error",
      code: "card_declined",
      message: "Your card was declined.",
      param: "paymentMethodId",
      requestId: "req_7",
    };
    server.script(json(402, { error }));
    const thrown = await errorOf(client().request("POST", "/pay", { idempotencyKey: "k1" }));
    expect(thrown).toMatchObject({
      ...error,
      status: 402,
      idempotencyKey: "k1",
      isRefusal: true,
      name: "ApiError",
    });
  });

  test("an answer of a proxy has a code of its status", async () => {
    server.script((response) => {
      response.writeHead(413, { "x-request-id": "req_p" }).end("<html>too large</html>");
    });
    expect(await errorOf(client().request("GET", "/a"))).toMatchObject({
      type: "api_error",
      code: "http_413",
      requestId: "req_p",
    });
  });

  test("a success that is no JSON is not asked for again", async () => {
    server.script((response) => void response.writeHead(200).end("<html>"));
    expect(await errorOf(client().request("GET", "/a"))).toMatchObject({
      code: "answer_invalid",
      status: 200,
    });
    expect(server.received).toHaveLength(1);
  });

  test.each([400, 401, 403, 404, 408, 409, 412, 422, 500, 501])(
    "%d is not tried again",
    async (status) => {
      server.script(failure(status, "refused", { "retry-after": "1" }));
      expect(await errorOf(client().request("POST", "/a"))).toMatchObject({ status });
      expect(server.received).toHaveLength(1);
      expect(clock.waits).toEqual([]);
    },
  );
});

describe("retries", () => {
  test.each([
    ["no answer", hangUp],
    ["429", failure(429, "rate_limited")],
    ["502", failure(502, "bad_gateway")],
    ["503", failure(503, "unavailable")],
    ["504", failure(504, "gateway_timeout")],
    ["409 in progress", failure(409, "idempotency_in_progress")],
  ])("%s is tried again, with growing waits and one key", async (_, turn) => {
    server.script(turn, turn, turn, json(200, "done"));
    const call = client().request("POST", "/a", { body: {} });
    for (const wait of [1, 2, 3]) await clock.pass(wait);
    expect((await call).body).toBe("done");
    expect(clock.waits).toEqual([250, 500, 1_000]);
    const [key, ...others] = keysReceived();
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(others).toEqual([key, key, key]);
  });

  test("ends after the attempts that the settings allow, with the last failure and its key", async () => {
    server.script(failure(503, "unavailable"));
    const call = errorOf(client({ attempts: 2 }).request("POST", "/a"));
    await clock.pass(1);
    const error = await call;
    expect(error).toMatchObject({ code: "unavailable", isRefusal: false });
    expect(keysReceived()).toEqual([error.idempotencyKey, error.idempotencyKey]);
  });

  test("two calls have two keys; a reading one has none", async () => {
    server.script(json(200, {}));
    await client().request("POST", "/a");
    await client().request("DELETE", "/a");
    await client().request("GET", "/a");
    const [first, second, third] = keysReceived();
    expect(first).not.toBe(second);
    expect(third).toBeUndefined();
  });

  test("a write that takes no key is attempted once", async () => {
    server.script(failure(503, "unavailable"));
    await errorOf(client().request("POST", "/a", { idempotencyKey: null }));
    expect(keysReceived()).toEqual([undefined]);
  });

  test.each([
    ["seconds", () => "7", 7_000],
    ["a date", () => new Date(clock.now() + 9_000).toUTCString(), 9_000],
    ["a date that has passed", () => new Date(clock.now() - 9_000).toUTCString(), 0],
    ["nonsense", () => "soon", 0],
    ["a date in another form", () => "2031-01-01", 0],
  ])("Retry-After as %s comes before the jitter", async (_, value, askedMs) => {
    server.script(failure(429, "rate_limited", { "retry-after": value() }), json(200, {}));
    const call = client({ random: () => 0.9 }).request("GET", "/a");
    await clock.pass(1);
    await call;
    expect(clock.waits).toEqual([askedMs + 25]);
  });

  test("a Retry-After of more than a minute is not waited for", async () => {
    server.script(failure(429, "rate_limited", { "retry-after": "61" }));
    expect(await errorOf(client().request("GET", "/a"))).toMatchObject({ retryAfterMs: 61_000 });
    expect(server.received).toHaveLength(1);
  });
});

describe("timeouts and aborts", () => {
  test("an attempt that is not answered in time is abandoned and made again", async () => {
    server.script(silence, json(200, "late"));
    const call = client().request("GET", "/a");
    await until("the first attempt", () => server.received.length === 1);
    clock.advance(timeoutMs);
    await clock.pass(1);
    expect((await call).body).toBe("late");
  });

  test("the timeout covers the body, and is the error in the end", async () => {
    server.script((response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "10" });
      response.write("{");
    });
    const call = errorOf(client({ attempts: 1 }).request("GET", "/a"));
    await until("the attempt", () => server.received.length === 1);
    clock.advance(timeoutMs);
    expect(await call).toMatchObject({ type: "connection_error", code: "timeout" });
    expect(clock.pending).toBe(0);
  });

  test("an answer that breaks off is no answer", async () => {
    server.script(
      (response) => {
        response.writeHead(200, { "content-length": "10" });
        response.write("{", () => response.socket?.resetAndDestroy());
      },
      json(200, "whole"),
    );
    const call = client().request("GET", "/a");
    await clock.pass(1);
    expect((await call).body).toBe("whole");
  });

  test.each(["before it is sent", "while it is answered", "while it waits for a retry"])(
    "aborting %s rejects with the signal's reason",
    async (when) => {
      const reason = new Error("the user left");
      const controller = new AbortController();
      server.script(when === "while it is answered" ? silence : failure(503, "unavailable"));
      if (when === "before it is sent") controller.abort(reason);
      const call = client().request("POST", "/a", { signal: controller.signal });
      const outcome = call.catch((error: unknown) => error);
      if (when === "while it is answered") {
        await until("the request", () => server.received.length === 1);
      }
      if (when === "while it waits for a retry") {
        await until("the wait", () => clock.waits.length === 1);
      }
      controller.abort(reason);
      expect(await outcome).toBe(reason);
      expect(clock.pending).toBe(0);
      expect(server.received.length).toBe(when === "before it is sent" ? 0 : 1);
    },
  );

  test("nothing is left waiting after a success", async () => {
    server.script(json(200, {}));
    await client().request("GET", "/a");
    expect(clock.pending).toBe(0);
  });
});
