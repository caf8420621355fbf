import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import { conflict, defineRoute, ndjsonReply } from "../../../src/edge/index.ts";
import { inMicroseconds } from "../../../src/edge/evidence/access-lines.ts";
import { millisecondsText } from "../../../src/edge/evidence/line-texts.ts";
import type { AccessLogOptions } from "../../../src/edge/index.ts";
import { startHarness, type Harness } from "../edge-harness.ts";
import { thingRoutes } from "../thing-routes.ts";

const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const numbers = defineRoute({
  method: "GET",
  path: "/numbers",
  auth: "none",
  replies: { 200: ndjsonReply(z.object({ n: z.number() })) },
  handler: () => ({ status: 200, stream: count() }),
});
const broken = defineRoute({
  method: "GET",
  path: "/broken",
  auth: "none",
  replies: { 200: z.object({}) },
  handler: () => {
    throw new Error("secret of the database");
  },
});
const refusing = defineRoute({
  method: "POST",
  path: "/refusing",
  replies: { 201: z.object({}) },
  handler: () => conflict("taken", "It is taken"),
});

const wavering = defineRoute({
  method: "GET",
  path: "/wavering/:status",
  params: z.object({ status: z.string() }),
  replies: { 200: z.object({}), 404: z.object({}), 503: z.object({}) },
  handler: ({ params }) => ({ status: Number(params.status) as 200 | 404 | 503, body: {} }),
});

async function* count() {
  for (let n = 0; n < 3; n++) yield { n };
}

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

/** A stopwatch that moves on by 2 ms with every look. */
function ticking(): () => number {
  let nowMs = 0;
  return () => (nowMs += 2);
}

async function start(sampled = {}): Promise<Harness> {
  harness = await startHarness([...thingRoutes, numbers, broken, refusing], {
    accessLog: { sampled },
    stopwatch: ticking(),
  });
  return harness;
}

function answeredLines({ lines }: Harness) {
  return lines.filter(({ message }) => message === "answered");
}

test("a line tells who asked for what and what became of it", async () => {
  const { edge, bearer } = await start();
  const answer = await edge.inject({
    method: "POST",
    url: "/things?trace=1",
    headers: {
      authorization: await bearer(),
      "x-request-id": "req_1",
      traceparent: trace,
      "idempotency-key": "k1",
    },
    payload: { name: "a" },
  });
  expect(answeredLines(harness!)).toEqual([
    {
      level: "info",
      message: "answered",
      fields: {
        method: "POST",
        route: "/things",
        path: "/things",
        status: 201,
        bytes: answer.rawPayload.length,
        durationMs: 2,
        requestId: "req_1",
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        tenant: "ten_1",
        subject: "usr_1",
      },
    },
  ]);
});

test("a replay says so, and a refusal says by which code", async () => {
  const { edge, bearer } = await start();
  const headers = { authorization: await bearer(), "idempotency-key": "k1" };
  const post = { method: "POST", url: "/things", headers, payload: { name: "a" } } as const;
  await edge.inject(post);
  await edge.inject(post);
  await edge.inject({ ...post, payload: { name: "b" } });
  await edge.inject({
    method: "POST",
    url: "/refusing",
    headers: { authorization: await bearer() },
  });
  await edge.inject({ url: "/things" });
  await edge.inject({ url: "/nowhere" });
  const lines = answeredLines(harness!).map(({ fields }) => fields);
  expect(lines.map(({ replay }) => replay)).toEqual([
    undefined,
    true,
    ...[undefined, undefined, undefined, undefined],
  ]);
  expect(lines.map(({ refusedBy }) => refusedBy)).toEqual([
    ...[undefined, undefined],
    ...["idempotency_key_reused", "taken", "missing_token", "route_not_found"],
  ]);
});

test("a sink gets the lines that pino would have made of them", async () => {
  const numbers = { info: 30, warn: 40 };
  const plain = await answeredLinesOf({});
  const expected = plain.map(({ level, message, fields }) => ({
    level: numbers[level as keyof typeof numbers],
    time: "2026-01-01T00:00:00.000Z",
    // What is undefined is left out, as in JSON.
    ...JSON.parse(JSON.stringify(fields)),
    msg: message,
  }));
  await harness?.stop();
  let text = "";
  let writes = 0;
  const sink = {
    write(more: string) {
      text += more;
      writes++;
    },
  };
  expect(await answeredLinesOf({ sink })).toEqual([]);
  const lines = text.split("\n");
  expect(lines.pop()).toBe("");
  expect(lines.map((line) => JSON.parse(line))).toEqual(expected);
  expect(lines).toHaveLength(6);
  expect(lines).toEqual(expected.map((line) => JSON.stringify(line)));
  expect(writes).toBe(1);
  await harness!.edge.inject({ url: "/nowhere" });
  await harness!.edge.close();
  expect(writes).toBe(2);
});

async function answeredLinesOf(accessLog: AccessLogOptions) {
  harness = await startHarness([...thingRoutes, broken, refusing], {
    accessLog: { sampled: { "4xx": 1 }, ...accessLog },
    stopwatch: ticking(),
  });
  const { edge, bearer } = harness;
  const headers = { authorization: await bearer(), "idempotency-key": "k1", traceparent: trace };
  const post = { method: "POST", url: "/things?a=1", payload: { name: "a" } } as const;
  await edge.inject({ ...post, headers: { ...headers, "x-request-id": 'a"b\\c' } });
  await edge.inject({ ...post, headers: { ...headers, "x-request-id": "r2" } });
  await edge.inject({ ...post, url: "/refusing", headers: { ...headers, "x-request-id": "r3" } });
  await edge.inject({ url: "/broken", headers: { "x-request-id": "r4" } });
  await edge.inject({ url: `/no"where<>`, headers: { "x-request-id": "r5" } });
  await edge.inject({ url: "/things", headers: { "x-request-id": "r6" } });
  harness.clock.advance(20);
  return answeredLines(harness);
}

test("lines of one millisecond are each of its own method, level, size and caller", async () => {
  let text = "";
  harness = await startHarness([...thingRoutes, wavering], {
    accessLog: { sink: { write: (more: string) => void (text += more) }, sampled: { "4xx": 0.5 } },
    stopwatch: ticking(),
  });
  const { edge, bearer } = harness;
  const [one, other] = [await bearer(), await bearer({ subject: "usr_2" })];
  const asked: [string, "GET" | "HEAD", string][] = [
    ["200", "GET", one],
    ["200", "HEAD", one],
    ["503", "GET", other],
    ["200", "GET", other],
    ["404", "GET", one],
    ["404", "GET", one],
    ["503", "GET", one],
  ];
  for (const [status, method, authorization] of asked) {
    await edge.inject({ method, url: `/wavering/${status}`, headers: { authorization } });
  }
  harness.clock.advance(20);
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const facts = ({ level, method, status, subject, share }: (typeof lines)[number]) => [
    ...[level, method, status, subject, share],
  ];
  expect(lines.map(facts)).toEqual([
    [30, "GET", 200, "usr_1", undefined],
    [30, "HEAD", 200, "usr_1", undefined],
    [40, "GET", 503, "usr_2", undefined],
    [30, "GET", 200, "usr_2", undefined],
    [30, "GET", 404, "usr_1", 0.5],
    [40, "GET", 503, "usr_1", undefined],
  ]);
});

test("a duration is written as JSON has its number", () => {
  const durations = fc.oneof(
    fc.double({ min: 0, max: 1e9, noNaN: true }),
    fc.double({ min: 0, max: 2, noNaN: true }),
    fc.nat(5_000),
  );
  fc.assert(
    fc.property(durations, (ms) => {
      expect(millisecondsText(ms)).toBe(JSON.stringify(inMicroseconds(ms)));
    }),
  );
});

test("no query, header, cookie or body is in the log", async () => {
  const { edge, bearer } = await start();
  const authorization = await bearer();
  await edge.inject({
    method: "POST",
    url: "/things?access_token=hunter2",
    headers: { authorization, cookie: "session=hunter2", "x-api-key": "hunter2" },
    payload: { name: "hunter2" },
  });
  await edge.inject({
    url: "/nowhere?password=hunter2",
    headers: { authorization: "Bearer hunter2" },
  });
  const text = JSON.stringify(answeredLines(harness!));
  expect(text).not.toContain("hunter2");
  expect(text).not.toContain(authorization.slice(7));
  expect(answeredLines(harness!)).toHaveLength(2);
});

test("status 5xx is a warning, and tells nothing of its cause", async () => {
  const { edge } = await start();
  await edge.inject({ url: "/broken" });
  expect(answeredLines(harness!)).toMatchObject([
    { level: "warn", fields: { status: 500, refusedBy: "internal_error", route: "/broken" } },
  ]);
  expect(JSON.stringify(answeredLines(harness!))).not.toContain("secret");
});

test("a path that a caller made up is cut", async () => {
  const { edge } = await start();
  await edge.inject({ url: `/${"x".repeat(5_000)}` });
  expect(answeredLines(harness!)[0]?.fields["path"]).toHaveLength(1_024);
});

test("a streamed answer is logged at its end, with what went over the wire", async () => {
  const { edge } = await start();
  const { url } = await edge.listen({ port: 0, host: "127.0.0.1" });
  const text = await (await fetch(`${url}/numbers`)).text();
  await expect.poll(() => answeredLines(harness!)).toHaveLength(1);
  const [line] = answeredLines(harness!);
  expect(line?.fields["bytes"]).toBeGreaterThan(text.length);
});

test("a share of a class is logged evenly, and the line says which share", async () => {
  const { edge } = await start({ "4xx": 0.25, "2xx": 0 });
  for (let request = 0; request < 8; request++) await edge.inject({ url: "/nowhere" });
  await edge.inject({ url: "/numbers" });
  expect(answeredLines(harness!).map(({ fields }) => fields["share"])).toEqual([0.25, 0.25]);
});

test("a share that is none is refused at the start", async () => {
  await expect(startHarness([], { accessLog: { sampled: { "2xx": 2 } } })).rejects.toThrow(
    RangeError,
  );
});
