import { until } from "@apiforge/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { createClient, type ServerSentEvent } from "../src/index.ts";
import {
  failure,
  hangUp,
  json,
  startScriptedServer,
  stream,
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

type Thing = { readonly id: number };
type Things = readonly [
  {
    readonly method: "GET";
    readonly path: "/lines";
    readonly "~call"?: {
      params: undefined;
      query: undefined;
      body: undefined;
      replies: { 200: AsyncIterable<{ readonly id: number | string }> };
      idempotency: "none";
    };
  },
  {
    readonly method: "GET";
    readonly path: "/things";
    readonly "~call"?: {
      params: undefined;
      query: { limit?: number; cursor?: string; kind?: string } | undefined;
      body: undefined;
      replies: { 200: { data: Thing[]; hasMore: boolean; nextCursor: string | null } };
      idempotency: "none";
    };
  },
];

/** What a promise was rejected with. */
function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined).catch((error: unknown) => error);
}

function client() {
  return createClient<Things>({ baseUrl: server.url, clock, random: () => 0, timeoutMs });
}

describe("a list", () => {
  test("goes over all pages and fetches a page when it is needed", async () => {
    server.script(
      json(200, { data: [{ id: 1 }, { id: 2 }], hasMore: true, nextCursor: "c2" }),
      json(200, { data: [], hasMore: true, nextCursor: "c3" }),
      json(200, { data: [{ id: 3 }], hasMore: false, nextCursor: null }),
    );
    const seen: [number, number][] = [];
    for await (const { id } of client().list("/things", { query: { limit: 2, kind: "a" } })) {
      seen.push([id, server.received.length]);
    }
    expect(seen).toEqual([
      [1, 1],
      [2, 1],
      [3, 3],
    ]);
    expect(server.received.map(({ url }) => url)).toEqual([
      "/things?limit=2&kind=a",
      "/things?limit=2&kind=a&cursor=c2",
      "/things?limit=2&kind=a&cursor=c3",
    ]);
  });

  test("a page that is refused for now is asked for again", async () => {
    server.script(
      json(200, { data: [{ id: 1 }], hasMore: true, nextCursor: "c2" }),
      failure(503, "unavailable"),
      json(200, { data: [{ id: 2 }], hasMore: false, nextCursor: null }),
    );
    const ids = Array.fromAsync(client().list("/things"), ({ id }) => id);
    await clock.pass(1);
    expect(await ids).toEqual([1, 2]);
  });

  test("an answer that is no page is an error", async () => {
    server.script(json(200, { data: [] }));
    await expect(Array.fromAsync(client().list("/things"))).rejects.toMatchObject({
      code: "answer_invalid",
    });
  });
});

describe("an NDJSON stream", () => {
  test("gives each value as it arrives, however the bytes are cut", async () => {
    const opened = stream("application/x-ndjson", `{"id":1}\n\n{"i`);
    server.script(opened.turn);
    const values = client().ndjson("/lines");
    expect(await values.next()).toEqual({ value: { id: 1 }, done: false });
    const second = values.next();
    const euro = Buffer.from(`d":"€"}\n{"id":3}`);
    opened.responses[0]?.write(euro.subarray(0, 5));
    opened.responses[0]?.end(euro.subarray(5));
    expect(await second).toEqual({ value: { id: "€" }, done: false });
    expect(await Array.fromAsync(values)).toEqual([{ id: 3 }]);
    expect(clock.pending).toBe(0);
  });

  test("opening it is retried, a break in its middle is an error", async () => {
    const opened = stream("application/x-ndjson", `{"id":1}\n`);
    server.script(hangUp, opened.turn);
    const values = client().ndjson("/lines");
    const first = values.next();
    await clock.pass(1);
    expect(await first).toMatchObject({ value: { id: 1 } });
    const second = values.next();
    opened.responses[0]?.socket?.resetAndDestroy();
    await expect(second).rejects.toMatchObject({ code: "connection_failed" });
    expect(server.received).toHaveLength(2);
  });

  test("a server that falls silent is given up, a slow reader is not", async () => {
    server.script(stream("application/x-ndjson", `{"id":1}\n`).turn);
    const values = client().ndjson("/lines");
    await values.next();
    clock.advance(2 * timeoutMs);
    const { watches } = clock;
    const second = values.next();
    await until("it reads on", () => clock.watches > watches);
    clock.advance(timeoutMs);
    await expect(second).rejects.toMatchObject({ code: "timeout" });
  });

  test("a line that is no JSON, and another media type, are errors", async () => {
    server.script(stream("application/x-ndjson", "nonsense\n").turn);
    await expect(Array.fromAsync(client().ndjson("/lines"))).rejects.toMatchObject({
      code: "answer_invalid",
    });
    server.script(json(200, {}));
    await expect(Array.fromAsync(client().ndjson("/lines"))).rejects.toMatchObject({
      code: "answer_invalid",
    });
  });

  test("leaving the loop closes the connection", async () => {
    const opened = stream("application/x-ndjson", `{"id":1}\n`);
    server.script(opened.turn);
    for await (const value of client().ndjson("/lines")) {
      expect(value).toEqual({ id: 1 });
      break;
    }
    await until("the connection is closed", () => opened.responses[0]?.destroyed === true);
    expect(clock.pending).toBe(0);
  });
});

describe("events", () => {
  const media = "text/event-stream; charset=utf-8";
  const noMore = (response: { writeHead(status: number): { end(): void } }) =>
    response.writeHead(204).end();

  async function take(
    events: AsyncIterableIterator<ServerSentEvent>,
    count: number,
  ): Promise<string[]> {
    const taken: string[] = [];
    while (taken.length < count) {
      const { value, done } = await events.next();
      if (done === true) throw new Error("The events ended");
      taken.push(value.data);
    }
    return taken;
  }

  test("a stream that ends is taken up after its last event, until the server has no more", async () => {
    const first = stream(media, "id: 1\ndata: a\n\n", "id: 2\ndata: b\n\ndata: cut off");
    const second = stream(media, ": hello\n\nid: 3\nevent: end\ndata: c\n\n");
    server.script(first.turn, second.turn, noMore);
    const events = client().events("/events");
    expect(await take(events, 2)).toEqual(["a", "b"]);
    const third = events.next();
    first.responses[0]?.end();
    await clock.pass(1);
    expect(await third).toEqual({ value: { id: "3", event: "end", data: "c" }, done: false });
    const end = events.next();
    second.responses[0]?.end();
    await clock.pass(2);
    expect(await end).toEqual({ value: undefined, done: true });
    expect(server.received.map(({ headers }) => headers["last-event-id"])).toEqual([
      undefined,
      "2",
      "3",
    ]);
    expect(clock.pending).toBe(0);
  });

  test("the server's retry is the shortest wait, also when a connection fails", async () => {
    const opened = stream(media, "retry: 5000\n\nid: 1\ndata: a\n\n");
    const again = stream(media, "data: b\n\n");
    server.script(opened.turn, hangUp, again.turn);
    const events = client().events("/events");
    await take(events, 1);
    const next = take(events, 1);
    opened.responses[0]?.socket?.resetAndDestroy();
    await clock.pass(1);
    await clock.pass(2);
    expect(await next).toEqual(["b"]);
    expect(clock.waits).toEqual([5_000, 5_000]);
  });

  test("a silent connection is replaced", async () => {
    server.script(
      stream(media, "id: 1\ndata: a\n\n").turn,
      stream(media, "id: 2\ndata: b\n\n").turn,
    );
    const events = client().events("/events", { lastEventId: "0" });
    await take(events, 1);
    const { watches } = clock;
    const next = take(events, 1);
    await until("it listens on", () => clock.watches > watches);
    clock.advance(timeoutMs);
    await clock.pass(1);
    expect(await next).toEqual(["b"]);
    expect(server.received.map(({ headers }) => headers["last-event-id"])).toEqual(["0", "1"]);
  });

  test("a refusal ends it at once, an absent server after the attempts of a call", async () => {
    server.script(failure(403, "forbidden"));
    await expect(client().events("/events").next()).rejects.toMatchObject({ code: "forbidden" });
    expect(server.received).toHaveLength(1);
    server.script(hangUp);
    const ending = failureOf(client().events("/events").next());
    for (const wait of [1, 2, 3]) await clock.pass(wait);
    expect(await ending).toMatchObject({ code: "connection_failed" });
    expect(server.received).toHaveLength(5);
  });

  test("aborting ends it with the signal's reason", async () => {
    const opened = stream(media, "data: a\n\n");
    server.script(opened.turn);
    const controller = new AbortController();
    const events = client().events("/events", { signal: controller.signal });
    await take(events, 1);
    const reason = new Error("enough");
    const ending = failureOf(events.next());
    controller.abort(reason);
    expect(await ending).toBe(reason);
    await until("the connection is closed", () => opened.responses[0]?.destroyed === true);
    expect(clock.pending).toBe(0);
  });
});
