import { once } from "node:events";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import * as Sentry from "@sentry/node";
import { afterEach, expect, test } from "vitest";
import { z } from "zod";

import {
  conflict,
  defineRoute,
  sentryReporter,
  type EdgeOptions,
  type ReportContext,
} from "../../../src/edge/index.ts";
import { startHarness, type Harness } from "../edge-harness.ts";

const failing = defineRoute({
  method: "GET",
  path: "/failing/:id",
  replies: { 200: z.object({}) },
  handler: () => {
    throw new Error("connection to db.internal refused");
  },
});
const refusing = defineRoute({
  method: "POST",
  path: "/refusing",
  replies: { 200: z.object({}) },
  handler: () => conflict("taken", "It is taken"),
});

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function start(options: Partial<EdgeOptions>): Promise<Harness> {
  harness = await startHarness([failing, refusing], options);
  return harness;
}

async function fail({ edge, bearer }: Harness) {
  const headers = { authorization: await bearer(), "x-request-id": "req_9" };
  return edge.inject({ url: "/failing/7", headers });
}

test("onError changes the message and adds fields, in both forms, but not what clients branch on", async () => {
  const { edge } = await start({
    onError: ({ code }, { id }) => ({
      message: `Sorry (${code})`,
      fields: { help: `https://help.example/${id}`, code: "mine", requestId: "mine" },
    }),
  });
  const headers = { "x-request-id": "req_9" };
  const plain = await edge.inject({ url: "/nowhere", headers });
  expect(plain.json()).toEqual({
    error: {
      help: "https://help.example/req_9",
      type: "not_found_error",
      code: "route_not_found",
      message: "Sorry (route_not_found)",
      requestId: "req_9",
    },
  });
  const problem = await edge.inject({
    url: "/nowhere",
    headers: { ...headers, accept: "application/problem+json" },
  });
  expect(problem.json()).toMatchObject({
    detail: "Sorry (route_not_found)",
    help: "https://help.example/req_9",
    code: "route_not_found",
    status: 404,
  });
});

test("onError is given what the caller would be told, never what was thrown", async () => {
  const seen: unknown[] = [];
  const stand = await start({ onError: (failure) => void seen.push(failure) });
  await fail(stand);
  expect(JSON.stringify(seen)).not.toContain("db.internal");
  expect(seen).toMatchObject([{ code: "internal_error", status: 500 }]);
});

test("a refusal is recorded for replay as onError has it", async () => {
  let asked = 0;
  const { edge, bearer } = await start({
    onError: () => {
      asked += 1;
      return { message: "Try another" };
    },
  });
  const headers = { authorization: await bearer(), "idempotency-key": "k" };
  const bodies = [];
  for (let n = 0; n < 2; n++)
    bodies.push((await edge.inject({ method: "POST", url: "/refusing", headers })).json().error);
  expect(bodies).toMatchObject([{ message: "Try another" }, { message: "Try another" }]);
  expect(asked).toBe(1);
});

test("an onError that fails changes nothing, and is logged", async () => {
  const { edge, lines } = await start({
    onError: () => {
      throw new Error("mine");
    },
  });
  expect((await edge.inject({ url: "/nowhere" })).json().error.message).toBe(
    "No route answers this path",
  );
  expect(lines.some(({ message }) => message.startsWith("onError failed"))).toBe(true);
});

test("the reporter is told of what nobody made on purpose, and of nothing else", async () => {
  const reports: { error: unknown; context: ReportContext }[] = [];
  const stand = await start({
    reporter: { report: (error, context) => void reports.push({ error, context }) },
  });
  await stand.edge.inject({ url: "/nowhere" });
  expect((await fail(stand)).statusCode).toBe(500);
  expect(reports).toEqual([
    {
      error: new Error("connection to db.internal refused"),
      context: {
        requestId: "req_9",
        traceId: undefined,
        method: "GET",
        route: "/failing/:id",
        tenant: "ten_1",
        subject: "usr_1",
      },
    },
  ]);
});

test("a reporter that fails costs no answer", async () => {
  const stand = await start({
    reporter: {
      report: () => {
        throw new Error("mine");
      },
    },
  });
  expect((await fail(stand)).statusCode).toBe(500);
});

test("Sentry's SDK sends the error with its request, and is flushed when the server stops", async () => {
  const received: string[] = [];
  const sink = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const isZipped = request.headers["content-encoding"] === "gzip";
      received.push(`${request.url}\n${(isZipped ? gunzipSync(body) : body).toString()}`);
      response.end("{}");
    });
  }).listen(0, "127.0.0.1");
  await once(sink, "listening");
  const address = sink.address();
  const port = typeof address === "object" ? address?.port : 0;
  Sentry.init({ dsn: `http://${"0".repeat(32)}@127.0.0.1:${port}/42`, defaultIntegrations: false });
  try {
    const stand = await start({ reporter: sentryReporter(Sentry) });
    await fail(stand);
    await stand.edge.close();
    const event = received.find((text) => text.includes("db.internal"));
    expect(event).toContain("/api/42/envelope/");
    expect(event).toContain('"requestId":"req_9"');
    expect(event).toContain('"route":"/failing/:id"');
    expect(event).toContain('"user":{"id":"usr_1"');
  } finally {
    await Sentry.close(0);
    sink.closeAllConnections();
    sink.close();
  }
});
