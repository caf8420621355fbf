import { get, type IncomingMessage } from "node:http";
import { until } from "@apiforge/testing";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, eventStreamReply, ndjsonReply } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";
import { breaksOff, waitForEnd } from "./ending-streams.ts";

const line = z.object({ n: z.number(), text: z.string() });

/** What the streams of the routes below have done so far. */
const seen = { made: 0, ended: 0 };

async function* countUp(last: number) {
  try {
    for (let n = 0; n < last; n++) {
      seen.made += 1;
      yield { n, text: "x".repeat(1_000), secret: "s" };
    }
  } finally {
    seen.ended += 1;
  }
}

const replies = { 200: ndjsonReply(line) };
const routes = [
  defineRoute({
    method: "GET",
    path: "/lines/:last",
    auth: "none",
    replies,
    handler: ({ params }) => ({ status: 200, stream: countUp(Number(params.last)) }),
  }),
  defineRoute({
    method: "GET",
    path: "/broken",
    auth: "none",
    replies,
    handler: () => ({ status: 200, stream: breaksOff() }),
  }),
  defineRoute({
    method: "GET",
    path: "/events",
    auth: "none",
    replies: { 200: eventStreamReply(line) },
    handler: ({ request }) => ({ status: 200, stream: waitForEnd(request.signal, seen) }),
  }),
];

let harness: Harness;

afterEach(() => harness.stop());

async function open(path: string): Promise<IncomingMessage> {
  Object.assign(seen, { made: 0, ended: 0 });
  harness = await startHarness(routes);
  const { url } = await harness.edge.listen({ host: "127.0.0.1", port: 0 });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  get(`${url}${path}`, resolve).on("error", reject);
  return promise;
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const piece of response) text += String(piece);
  return text;
}

test("every value is a line with its declared fields only", async () => {
  const text = await textOf(await open("/lines/100"));
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(100);
  expect(JSON.parse(lines[99] ?? "")).toEqual({ n: 99, text: "x".repeat(1_000) });
});

test("a client that does not read is not written to, and one that goes ends the stream", async () => {
  const response = await open("/lines/1000000");
  response.pause();
  let before = -1;
  await until("the stream to stand still", () => {
    const isStill = seen.made === before && seen.made > 0;
    before = seen.made;
    return isStill;
  });
  expect(seen.made).toBeLessThan(100_000);
  response.destroy();
  await until("the stream to end", () => seen.ended === 1);
  expect(seen.made).toBeLessThan(100_000);
});

test("a stream that fails breaks the connection, so that nobody takes it for whole", async () => {
  const response = await open("/broken");
  await expect(textOf(response)).rejects.toThrow("aborted");
  expect(harness.lines.some(({ message }) => message === "a streamed answer broke off")).toBe(true);
});

test("events end when their client goes", async () => {
  const response = await open("/events");
  expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  response.once("data", () => response.destroy());
  await until("the stream to end", () => seen.ended === 1);
});

test("events end in order when the server stops", async () => {
  const response = await open("/events");
  const text = textOf(response);
  await harness.edge.close();
  expect(await text).toBe('event: begun\ndata: {"n":1,"text":""}\n\n');
});

test("silence is broken by a comment", async () => {
  const response = await open("/events");
  const pieces: string[] = [];
  response.setEncoding("utf8").on("data", (piece: string) => pieces.push(piece));
  await until("the first event", () => pieces.length === 1);
  harness.clock.advance(15_000);
  await until("the comment", () => pieces.length === 2);
  expect(pieces[1]).toBe(": keep-alive\n\n");
});

test("only a route that reads can stream", async () => {
  harness = await startHarness([]);
  const streaming = () =>
    defineRoute({
      method: "POST",
      path: "/lines",
      replies,
      handler: () => ({ status: 200, stream: countUp(1) }),
    });
  expect(streaming).toThrow(TypeError);
});
