import { until } from "@apiforge/testing";
import type { OpenStore } from "@apiforge/testing/contracts";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import type { ProxyOptions, UpstreamOptions } from "../../src/gateway/index.ts";
import { storeFixtures } from "../store/fixtures.ts";
import {
  startGateway,
  startRawUpstream,
  type GatewayHarness,
  type RawUpstream,
  type Script,
} from "./gateway-harness.ts";

const leaseMs = 15_000;
const callersKey = "the-key-of-the-caller";
const created: Script = (socket) =>
  void socket.write(
    'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nLocation: /things/1\r\nSet-Cookie: a=1\r\nContent-Length: 8\r\n\r\n{"id":1}',
  );

function answering(status: number, head = "", body = "no"): Script {
  return (socket) =>
    void socket.write(
      `HTTP/1.1 ${status} X\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`,
    );
}

describe.for(storeFixtures)("keys of requests to upstreams, $name", (fixture) => {
  let open: OpenStore;
  let behind: RawUpstream;
  let behave: Script;
  let requests: string[];
  let gateway: GatewayHarness;

  beforeEach(async () => {
    open = await fixture.open();
    requests = [];
    behave = created;
    behind = await startRawUpstream((socket, request, number) => {
      requests.push(request);
      behave(socket, request, number);
    });
    gateway = await start();
  });
  afterEach(async () => {
    await gateway.stop();
    await behind.close();
    await open[Symbol.asyncDispose]();
  });

  function start(
    proxy: Partial<ProxyOptions> = {},
    upstreamOptions: Partial<UpstreamOptions> = {},
  ): Promise<GatewayHarness> {
    return startGateway([behind.url], {
      proxy: { auth: "jwt", idempotency: "required", ...proxy },
      upstreamOptions,
      edge: { store: open.store },
    });
  }

  async function restart(
    proxy: Partial<ProxyOptions> = {},
    upstreamOptions: Partial<UpstreamOptions> = {},
  ): Promise<void> {
    await gateway.stop();
    gateway = await start(proxy, upstreamOptions);
  }

  interface Sent {
    readonly key?: string | undefined;
    readonly body?: string;
    readonly tenant?: string;
    readonly subject?: string;
    readonly method?: string;
    readonly path?: string;
    readonly type?: string;
    readonly signal?: AbortSignal;
  }

  async function send(sent: Sent = {}): Promise<Response> {
    const { key = callersKey, body = "body", tenant = "ten_1", subject = "usr_1" } = sent;
    const headers: Record<string, string> = {
      authorization: await gateway.bearer({ tenant, subject }),
      "content-type": sent.type ?? "text/plain",
    };
    if (!("key" in sent) || sent.key !== undefined) headers["idempotency-key"] = key;
    return fetch(`${gateway.url}${sent.path ?? "/things"}`, {
      method: sent.method ?? "POST",
      headers,
      ...(sent.method === "DELETE" ? {} : { body }),
      ...(sent.signal === undefined ? {} : { signal: sent.signal }),
    });
  }

  async function told(answer: Response): Promise<readonly [number, string]> {
    const { error } = (await answer.json()) as { error: { code: string } };
    return [answer.status, error.code];
  }

  const unknown = [502, "upstream_outcome_unknown"];

  test("a repeat has the fields that the route declares for all its answers", async () => {
    await restart({ response: { headers: { set: { "x-frame-options": "DENY" } } } });
    for (const replayed of [null, "true"]) {
      const { headers } = await send();
      expect(headers.get("idempotent-replayed")).toBe(replayed);
      expect(headers.get("x-frame-options")).toBe("DENY");
    }
  });

  test("a repeat is answered from the record, and the upstream asked once", async () => {
    const first = await send();
    expect([first.status, first.headers.get("idempotent-replayed"), await first.text()]).toEqual([
      201,
      null,
      '{"id":1}',
    ]);
    expect(first.headers.getSetCookie()).toEqual(["a=1"]);
    const again = await send();
    expect([again.status, again.headers.get("idempotent-replayed"), await again.text()]).toEqual([
      201,
      "true",
      '{"id":1}',
    ]);
    expect(again.headers.get("content-type")).toBe("application/json");
    expect(again.headers.get("location")).toBe("/things/1");
    // What was for one connection and one moment is not said again.
    expect(again.headers.getSetCookie()).toEqual([]);
    expect(again.headers.get("cache-control")).toBe("no-store");
    expect(requests.length).toBe(1);
  });

  test("the upstream gets a key that no other tenant, principal or path can send", async () => {
    const callers = [{}, { tenant: "ten_2" }, { subject: "usr_2" }, { method: "PUT" }];
    for (const caller of callers) expect((await send(caller)).status).toBe(201);
    const keys = requests.map((request) => /^idempotency-key: (.*)\r$/im.exec(request)?.[1] ?? "");
    expect(new Set(keys).size).toBe(callers.length);
    for (const key of keys) expect(key).toMatch(/^[\w-]{22}$/);
    expect(requests.join("")).not.toContain(callersKey);
  });

  test.for([
    ["another body", { body: "other" }],
    ["another type", { type: "application/json" }],
    ["another path", { path: "/things/2" }],
    ["another query", { path: "/things?a=1" }],
  ] as const)("%s under the key of an earlier request is refused", async ([, difference]) => {
    await send();
    expect(await told(await send(difference))).toEqual([422, "idempotency_key_reused"]);
    expect(requests.length).toBe(1);
  });

  test("a key is asked for where it is required, and only there", async () => {
    expect(await told(await send({ key: undefined }))).toEqual([400, "idempotency_key_required"]);
    await restart({ idempotency: "optional" });
    for (const _ of [1, 2]) expect((await send({ key: undefined })).status).toBe(201);
    expect(requests.length).toBe(2);
    expect(requests[0]).not.toMatch(/^idempotency-key/im);
  });

  test("while a request is with the upstream, its repeat is told so, on any node", async () => {
    const sockets: Parameters<Script>[] = [];
    behave = (...asked) => void sockets.push(asked);
    const other = await start();
    const first = send();
    await until("the upstream was asked", () => sockets.length === 1);
    const again = await send();
    expect(again.headers.get("retry-after")).toBe("1");
    expect(await told(again)).toEqual([409, "idempotency_in_progress"]);
    const authorization = await other.bearer();
    const elsewhere = await fetch(`${other.url}/things`, {
      method: "POST",
      headers: { authorization, "idempotency-key": callersKey, "content-type": "text/plain" },
      body: "body",
    });
    expect(await told(elsewhere)).toEqual([409, "idempotency_in_progress"]);
    const [asked] = sockets;
    if (asked !== undefined) created(...asked);
    expect((await first).status).toBe(201);
    expect((await send()).headers.get("idempotent-replayed")).toBe("true");
    await other.stop();
  });

  test.for([
    ["breaks off before its answer", ((socket) => socket.destroy()) satisfies Script],
    [
      "breaks off within it",
      ((socket) => {
        socket.write("HTTP/1.1 201 X\r\nContent-Length: 9\r\n\r\nhalf");
        setImmediate(() => socket.destroy());
      }) satisfies Script,
    ],
    [
      "answers what is no HTTP",
      ((socket) => void socket.write("nonsense\r\n\r\n")) satisfies Script,
    ],
    ["answers 500", answering(500)],
    ["answers 504", answering(504)],
    ["answers more than is held", answering(201, "", "x".repeat(1_048_577))],
  ] as const)(
    "an upstream that %s leaves it unknown, and is never asked again",
    async ([how, script]) => {
      behave = script;
      const first = await send();
      const passed = how.startsWith("answers 5");
      if (passed) expect(first.status).toBeGreaterThanOrEqual(500);
      else if (how.includes("more than"))
        expect((await told(first))[1]).toBe("upstream_answer_invalid");
      else expect(await told(first)).toEqual(unknown);
      behave = created;
      const again = await send();
      expect(again.headers.get("retry-after")).toBeNull();
      expect(await told(again)).toEqual(unknown);
      expect(requests.length).toBe(1);
      expect(await told(await send({ body: "other" }))).toEqual([422, "idempotency_key_reused"]);
      expect((await send({ key: "k2" })).status).toBe(201);
    },
  );

  test("an upstream that does not answer in time leaves it unknown", async () => {
    behave = () => undefined;
    const first = send();
    await until("the upstream was asked", () => requests.length === 1);
    gateway.upstreamClock.advance(31_000);
    expect(await told(await first)).toEqual(unknown);
    expect(await told(await send())).toEqual(unknown);
    expect(requests.length).toBe(1);
  });

  test("an upstream that knows keys is asked again with the same one", async () => {
    await restart({}, { retry: { keyed: true, attempts: 1 } });
    behave = (socket) => socket.destroy();
    expect(await told(await send())).toEqual([502, "upstream_failed"]);
    behave = created;
    expect(await told(await send({ body: "other" }))).toEqual([422, "idempotency_key_reused"]);
    const again = await send();
    expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([201, null]);
    expect((await send()).headers.get("idempotent-replayed")).toBe("true");
    const keys = requests.map((request) => /^idempotency-key: (.*)\r$/im.exec(request)?.[1]);
    expect([keys.length, new Set(keys).size]).toEqual([2, 1]);
  });

  test.for([
    ["503", 503],
    ["429", 429],
  ] as const)(
    "an upstream that says by %s that it did nothing may be asked again",
    async ([, status]) => {
      behave = answering(status, "Retry-After: 7\r\n");
      const first = await send();
      expect([first.status, first.headers.get("retry-after")]).toEqual([status, "7"]);
      behave = created;
      expect((await send()).status).toBe(201);
    },
  );

  test("what was never sent may be sent", async () => {
    const port = new URL(behind.url).port;
    await behind.close();
    expect(await told(await send())).toEqual([502, "upstream_unreachable"]);
    behind = await startRawUpstream(created);
    expect(new URL(behind.url).port).not.toBe(port);
    await restart();
    expect((await send()).status).toBe(201);
  });

  test("a refusal of the upstream is repeated as it was", async () => {
    behave = answering(422, "Content-Type: text/plain\r\n", "refused");
    expect((await send()).status).toBe(422);
    behave = created;
    const again = await send();
    expect([again.status, await again.text()]).toEqual([422, "refused"]);
  });

  test("what is recorded is what left: the declared fields", async () => {
    await restart({ replies: { 201: z.object({ id: z.number() }) } });
    behave = answering(201, "Content-Type: application/json\r\n", '{"id":1,"secret":2}');
    expect(await (await send()).text()).toBe('{"id":1}');
    const again = await send();
    expect([await again.text(), again.headers.get("idempotent-replayed")]).toEqual([
      '{"id":1}',
      "true",
    ]);
    behave = answering(404, "", "secret");
    expect(await told(await send({ key: "k2" }))).toEqual([404, "upstream_refused"]);
    behave = answering(201, "Content-Type: application/json\r\n", '{"secret":2}');
    expect(await told(await send({ key: "k3" }))).toEqual([502, "upstream_answer_invalid"]);
    expect(await told(await send({ key: "k3" }))).toEqual(unknown);
  });

  test("a caller who goes away finds the answer when he comes back", async () => {
    const sockets: Parameters<Script>[] = [];
    behave = (...asked) => void sockets.push(asked);
    const abort = new AbortController();
    const first = send({ signal: abort.signal });
    await until("the upstream was asked", () => sockets.length === 1);
    abort.abort();
    await expect(first).rejects.toThrow("aborted");
    const [asked] = sockets;
    if (asked !== undefined) created(...asked);
    await until("the answer is recorded", async () => {
      const again = await send();
      await again.text();
      return again.headers.get("idempotent-replayed") === "true";
    });
    expect(requests.length).toBe(1);
  });

  test("a day later a key is new again", async () => {
    await send();
    await open.advance(86_400_001);
    await open.store.upstreamCalls.sweep(86_400_000, 10);
    expect((await send()).headers.get("idempotent-replayed")).toBeNull();
    expect(requests.length).toBe(2);
  });

  test("nobody who is refused by a stage uses up his key", async () => {
    await restart({ scopes: ["things:write"] });
    expect((await send()).status).toBe(403);
    await restart();
    expect((await send()).headers.get("idempotent-replayed")).toBeNull();
  });

  test("a call whose process is gone is unknown after its lease", async () => {
    const digests: Buffer[] = [];
    const { upstreamCalls } = open.store;
    // What a process leaves that dies between its claim and its answer.
    const claim = upstreamCalls.claim.bind(upstreamCalls);
    const { durable } = gateway;
    const begun = await durable.upstreamCalls.begin(
      { key: "k", digest: Buffer.alloc(16, 1), fingerprint: Buffer.alloc(16, 2) },
      false,
    );
    expect(begun.outcome).toBe("claimed");
    digests.push(Buffer.alloc(16, 1));
    const ask = {
      digest: Buffer.alloc(16, 1),
      fingerprint: Buffer.alloc(16, 2),
      key: "k",
      leaseMs,
    };
    expect(await claim({ ...ask, mayRepeat: false })).toMatchObject({ outcome: "in_flight" });
    await open.advance(leaseMs);
    expect(await claim({ ...ask, mayRepeat: false })).toMatchObject({ outcome: "unknown" });
  });
});
