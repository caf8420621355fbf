import type { ServerResponse } from "node:http";
import { connect } from "node:net";
import { until } from "@apiforge/testing";
import { afterEach, expect, test } from "vitest";

import { stage } from "../../../src/edge/index.ts";
import { counting, startCached, type CachedGateway } from "./cache-harness.ts";

let gateway: CachedGateway;
afterEach(() => gateway.stop());

const status = (answer: Response): string | null => answer.headers.get("cache-status");

function held(): {
  readonly responses: ServerResponse[];
  readonly hold: (response: ServerResponse) => void;
} {
  const responses: ServerResponse[] = [];
  return { responses, hold: (response) => void responses.push(response) };
}

test("requests that come while another one asks for the same wait for its answer", async () => {
  const { responses, hold } = held();
  gateway = await startCached((_request, response) => hold(response));
  const answers = Array.from({ length: 20 }, () => gateway.get("/a"));
  await until("all have come", () => gateway.arrivals() === 20);
  responses[0]?.writeHead(200, { "cache-control": "max-age=60" }).end("one");
  const seen = await Promise.all(answers);
  expect(await Promise.all(seen.map((answer) => answer.text()))).toEqual(Array(20).fill("one"));
  expect(
    seen.filter((answer) => status(answer) === "apiforge; fwd=uri-miss; collapsed"),
  ).toHaveLength(19);
  expect(gateway.asked).toHaveLength(1);
});

test("an answer that is not for others makes nobody wait for the next one", async () => {
  const { responses, hold } = held();
  gateway = await startCached((_request, response) => hold(response));
  const answers = Array.from({ length: 10 }, () => gateway.get("/a"));
  await until("all have come", () => gateway.arrivals() === 10);
  expect(responses).toHaveLength(1);
  // Its head is enough to know.
  responses[0]?.writeHead(200, { "cache-control": "no-store" }).flushHeaders();
  await until("all are at the upstream", () => responses.length === 10);
  const more = Array.from({ length: 10 }, () => gateway.get("/a"));
  await until("all that come later are", () => responses.length === 20);
  for (const response of responses) response.end("x");
  await Promise.all([...answers, ...more]);
});

test("an upstream that fails makes nobody wait for the next failure", async () => {
  const { responses, hold } = held();
  gateway = await startCached((_request, response) => hold(response));
  const answers = Array.from({ length: 10 }, () => gateway.get("/a"));
  await until("all have come", () => gateway.arrivals() === 10);
  responses[0]?.destroy();
  await until("all are at the upstream", () => responses.length === 10);
  for (const response of responses) response.destroy();
  expect((await Promise.all(answers)).map((answer) => answer.status)).toEqual(Array(10).fill(502));
});

test("a client that goes takes nobody's answer with it", async () => {
  const { responses, hold } = held();
  gateway = await startCached((_request, response) => hold(response));
  const leaving = new AbortController();
  const gone = fetch(`${gateway.url}/a`, { signal: leaving.signal }).catch(() => "gone");
  await until("the first is at the upstream", () => responses.length === 1);
  const waiting = [gateway.get("/a"), gateway.get("/a")];
  await until("all have come", () => gateway.arrivals() === 3);
  leaving.abort();
  expect(await gone).toBe("gone");
  await until("another one asks", () => responses.length === 2);
  responses[1]?.writeHead(200, { "cache-control": "max-age=60" }).end("two");
  expect(await Promise.all((await Promise.all(waiting)).map((answer) => answer.text()))).toEqual([
    "two",
    "two",
  ]);
  expect(gateway.asked).toHaveLength(2);
});

test("a client that goes while it waits for another one's answer is let go of at once", async () => {
  const { responses, hold } = held();
  let arrived = 0;
  let left = 0;
  const count = stage("count", "validate", () => ({
    enter: () => void (arrived += 1),
    leave: () => void (left += 1),
  }));
  gateway = await startCached((_request, response) => hold(response), {
    edge: { stages: [count] },
  });
  const first = gateway.get("/a");
  await until("the first is at the upstream", () => responses.length === 1);
  const leaving = new AbortController();
  const gone = fetch(`${gateway.url}/a`, { signal: leaving.signal }).catch(() => "gone");
  await until("it waits", () => arrived === 2);
  leaving.abort();
  expect(await gone).toBe("gone");
  await until("it is over", () => left === 1);
  const staying = gateway.get("/a");
  await until("another one waits", () => arrived === 3);
  responses[0]?.writeHead(200, { "cache-control": "max-age=60" }).end("one");
  expect(await (await first).text()).toBe("one");
  expect(await (await staying).text()).toBe("one");
  expect(left).toBe(3);
});

test("callers that the stages know do not get each other's answer by waiting for it", async () => {
  let count = 0;
  gateway = await startCached(
    (_request, response) => {
      count += 1;
      response.writeHead(200, { "cache-control": "max-age=60" }).end(String(count));
    },
    { proxy: { auth: "jwt" } },
  );
  const callers = await Promise.all(
    ["a", "b", "c", "d"].map((subject) => gateway.bearer({ subject, tenant: subject })),
  );
  const ask = (authorization: string) => gateway.get("/a", { authorization });
  const answers = await Promise.all([...callers, ...callers].map(ask));
  const bodies = await Promise.all(answers.map((answer) => answer.text()));
  expect(new Set(bodies.slice(0, 4)).size).toBe(4);
  const again = await Promise.all(callers.map(async (it) => (await ask(it)).text()));
  expect(new Set(again).size).toBe(4);
});

test("a stale answer is given while the upstream is asked behind it, once", async () => {
  gateway = await startCached(
    counting({ "cache-control": "max-age=10, stale-while-revalidate=60", etag: '"1"' }),
  );
  await gateway.get("/a");
  gateway.cacheClock.advance(15_000);
  const { responses, hold } = held();
  gateway.behave((_request, response) => hold(response));
  const stale = await Promise.all([gateway.get("/a"), gateway.get("/a"), gateway.get("/a")]);
  expect(stale.map(status)).toEqual(Array(3).fill("apiforge; hit; ttl=-5"));
  await until("the upstream is asked behind it", () => responses.length === 1);
  expect(gateway.asked[1]?.headers["if-none-match"]).toBe('"1"');
  responses[0]?.writeHead(200, { "cache-control": "max-age=10" }).end("new");
  await until(
    "the new answer is stored",
    async () => (await (await gateway.get("/a")).text()) === "new",
  );
  expect(gateway.asked).toHaveLength(2);
});

test("a request behind an answer outlives the client that got it", async () => {
  gateway = await startCached(
    counting({ "cache-control": "max-age=1, stale-while-revalidate=60" }),
  );
  await gateway.get("/a");
  gateway.cacheClock.advance(2_000);
  const { responses, hold } = held();
  gateway.behave((_request, response) => hold(response));
  const host = `Host: 127.0.0.1:${gateway.port}`;
  const seen = await gateway.ask(`GET /a HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`);
  expect(seen.body).toBe("1");
  await until("the upstream is asked", () => responses.length === 1);
  responses[0]?.writeHead(200, { "cache-control": "max-age=60" }).end("2");
  await until(
    "the new answer is stored",
    async () => (await (await gateway.get("/a")).text()) === "2",
  );
});

test("a stored answer stands in for one that fails, for as long as it says", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=10, stale-if-error=60" }));
  await gateway.get("/a");
  gateway.cacheClock.advance(15_000);
  gateway.behave((_request, response) => void response.writeHead(503).end("broken"));
  const answer = await gateway.get("/a");
  expect([answer.status, await answer.text(), status(answer)]).toEqual([
    200,
    "1",
    "apiforge; fwd=stale; fwd-status=503; detail=stale-if-error",
  ]);
  gateway.behave((_request, response) => void response.destroy());
  const unreachable = await gateway.get("/a");
  expect([await unreachable.text(), unreachable.headers.get("proxy-status")]).toEqual([
    "1",
    expect.stringContaining("connection_terminated"),
  ]);
  gateway.cacheClock.advance(60_000);
  expect((await gateway.get("/a")).status).toBe(502);
});

test("what must be revalidated stands in for nothing", async () => {
  gateway = await startCached(
    counting({ "cache-control": "max-age=10, must-revalidate, stale-if-error=60" }),
  );
  await gateway.get("/a");
  gateway.cacheClock.advance(15_000);
  gateway.behave((_request, response) => void response.writeHead(503).end());
  expect((await gateway.get("/a")).status).toBe(503);
});

test("a client that does not read keeps nobody else waiting", async () => {
  const large = "x".repeat(900_000);
  gateway = await startCached((_request, response) => {
    response.writeHead(200, { "cache-control": "max-age=60", "content-length": large.length });
    response.end(large);
  });
  const slow = connect(gateway.port, "127.0.0.1");
  slow.pause();
  slow.write(`GET /a HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\n\r\n`);
  await until("the upstream is asked", () => gateway.asked.length === 1);
  expect((await (await gateway.get("/a")).text()).length).toBe(large.length);
  slow.destroy();
});
