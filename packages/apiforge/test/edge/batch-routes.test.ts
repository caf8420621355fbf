import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { until } from "@apiforge/testing";
import { afterEach, describe, expect, test } from "vitest";

import { bulkMessages, bulkRoutes } from "./bulk-routes.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

let harness: Harness;

afterEach(() => harness.stop());

async function start(run?: (to: string) => Promise<unknown>): Promise<void> {
  const definition = bulkMessages(run);
  harness = await startHarness(bulkRoutes(definition), { batches: [definition] });
  await harness.durable.start();
}

interface Sent {
  readonly payload: string;
  readonly type?: string;
  readonly key?: string;
}

async function post({ payload, type = "application/json", key }: Sent) {
  return harness.edge.inject({
    method: "POST",
    url: "/bulk",
    headers: {
      authorization: await harness.bearer(),
      "content-type": type,
      ...(key === undefined ? {} : { "idempotency-key": key }),
    },
    payload,
  });
}

async function get(url: string, subject = "usr_1") {
  return harness.edge.inject({
    url,
    headers: { authorization: await harness.bearer({ subject }) },
  });
}

/** The status of a batch once it has ended. */
async function ended(id: string): Promise<Record<string, unknown>> {
  let body: Record<string, unknown> = {};
  await until("the batch to end", async () => {
    body = (await get(`/bulk/${id}/status`)).json();
    return body["status"] !== "queued" && body["status"] !== "in_progress";
  });
  return body;
}

function messages(count: number): { to: string; body: string }[] {
  return Array.from({ length: count }, (_, index) => ({ to: `to${index}`, body: "hello" }));
}

function json(items: readonly unknown[]): string {
  return JSON.stringify({ messages: items });
}

function ndjson(items: readonly unknown[]): string {
  return items.map((item) => JSON.stringify(item)).join("\n");
}

async function isEmpty(): Promise<boolean> {
  const rows = await harness.durable.read(
    "visible",
    ({ sql }) => sql`select id from forge_batches where state > 0`,
  );
  return rows.length === 0;
}

test("a body of JSON and one of lines lead to the same work", async () => {
  await start();
  const asJson = await post({ payload: json(messages(35)) });
  const asLines = await post({ payload: ndjson(messages(35)), type: "application/x-ndjson" });
  expect([asJson.statusCode, asLines.statusCode]).toEqual([202, 202]);
  expect(asJson.json()).toMatchObject({ status: "queued", total: 35, processed: 0 });
  for (const response of [asJson, asLines]) {
    expect(await ended(response.json().id)).toMatchObject({ status: "completed", processed: 35 });
  }
});

test("some items may fail without the others", async () => {
  await start();
  const items = messages(25).map((item, index) =>
    index % 5 === 0 ? { ...item, to: "bad" } : item,
  );
  const { id } = (await post({ payload: json(items) })).json();
  expect(await ended(id)).toMatchObject({ status: "completed", processed: 25, failed: 5 });
});

test("a batch is shown to its owner only", async () => {
  await start();
  const { id } = (await post({ payload: json(messages(1)) })).json();
  expect((await get(`/bulk/${id}/status`, "usr_2")).statusCode).toBe(403);
  expect((await get("/bulk/batch_none/status")).statusCode).toBe(404);
});

describe("refusals leave nothing behind", () => {
  const invalid = { to: "", body: "hello" };

  test.for([
    [
      "an invalid item",
      json([...messages(17), invalid]),
      "validation_failed",
      "body.messages.17.to",
    ],
    [
      "an undeclared field",
      json([{ ...messages(1)[0], x: 1 }]),
      "unknown_field",
      "body.messages.0.x",
    ],
    ["a broken item", '{"messages":[{"to":"a","body":"b"},{"to":}]}', "invalid_json", undefined],
    ["a missing item", '{"messages":[{"to":"a","body":"b"},]}', "invalid_json", undefined],
    ["a cut body", '{"messages":[{"to":"a","body":"b"}', "invalid_json", undefined],
    ["text behind the end", '{"messages":[{"to":"a","body":"b"}]} 1', "invalid_json", undefined],
    ["another field", '{"x":1}', "unknown_field", "body.x"],
    ["a field behind", '{"messages":[{"to":"a","body":"b"}],"x":1}', "unknown_field", "body.x"],
    [
      "the field twice",
      '{"messages":[{"to":"a","body":"b"}],"messages":[]}',
      "duplicate_json_key",
      "body.messages",
    ],
    [
      "a key twice in an item",
      '{"messages":[{"to":"a","to":"b","body":""}]}',
      "duplicate_json_key",
      "body.messages.0.to",
    ],
    ["no array", '{"messages":{}}', "validation_failed", "body.messages"],
    ["no field", "{}", "validation_failed", "body.messages"],
    ["no items", '{"messages":[]}', "batch_empty", undefined],
  ] as const)("%s", async ([, payload, code, param]) => {
    await start();
    const response = await post({ payload });
    expect(response.json().error).toMatchObject({
      code,
      ...(param === undefined ? {} : { param }),
    });
    expect(response.statusCode).toBe(400);
    expect(await isEmpty()).toBe(true);
  });

  test("more items than a batch may have", async () => {
    await start();
    const response = await post({ payload: json(messages(1_201)) });
    expect(response.statusCode).toBe(400);
    expect(response.json().error).toMatchObject({
      code: "batch_too_large",
      message: "Max 1,200 messages per job",
    });
    expect(await isEmpty()).toBe(true);
  });

  test("a body of another type, none and one too large", async () => {
    await start();
    const other = await post({ payload: "to=a", type: "application/x-www-form-urlencoded" });
    expect([other.statusCode, other.json().error.code]).toEqual([415, "unsupported_media_type"]);
    const large = { to: "a", body: "x".repeat(50_000) };
    const tooLarge = await post({ payload: json(Array.from({ length: 9 }, () => large)) });
    expect([tooLarge.statusCode, tooLarge.json().error.code]).toEqual([413, "body_too_large"]);
    const long = await post({ payload: json([{ to: "a", body: "x".repeat(70_000) }]) });
    expect([long.statusCode, long.json().error.code]).toEqual([400, "batch_item_too_large"]);
    const authorization = await harness.bearer();
    const none = await harness.edge.inject({
      method: "POST",
      url: "/bulk",
      headers: { authorization },
    });
    expect([none.statusCode, none.json().error.code]).toEqual([400, "validation_failed"]);
    expect(await isEmpty()).toBe(true);
  });
});

describe("under one idempotency key", () => {
  test("the same items, however they are written, get the same batch", async () => {
    await start();
    const first = await post({ payload: json(messages(15)), key: "k" });
    const reordered = messages(15).map(({ to, body }) => ({ body, to }));
    const again = await post({
      payload: ndjson(reordered),
      type: "application/x-ndjson",
      key: "k",
    });
    expect(again.body).toBe(first.body);
    expect(again.headers["idempotent-replayed"]).toBe("true");
  });

  test("other items are refused with 422", async () => {
    await start();
    await post({ payload: json(messages(15)), key: "k" });
    const other = await post({ payload: json(messages(16)), key: "k" });
    expect([other.statusCode, other.json().error.code]).toEqual([422, "idempotency_key_reused"]);
  });

  test("a second request is refused with 409 while the first still sends its items", async () => {
    await start();
    const first = await open("k");
    const begun = messages(11).map((item) => JSON.stringify(item));
    first.request.write(`{"messages":[${begun.join()}`);
    await until("the first to be in flight", async () => (await staged()) > 0);
    const second = await post({ payload: json(messages(1)), key: "k" });
    expect([second.statusCode, second.headers["retry-after"]]).toEqual([409, "1"]);
    first.request.end("]}");
    expect((await first.response).statusCode).toBe(202);
  });
});

test("a client that goes away leaves nothing that could be seen, and what it sent is swept", async () => {
  await start();
  const { request } = await open(undefined);
  request.on("error", () => undefined);
  request.write(
    `{"messages":[${messages(1_000)
      .map((item) => JSON.stringify(item))
      .join()}`,
  );
  await until("items to be staged", async () => (await staged()) > 0);
  request.destroy();
  expect(await isEmpty()).toBe(true);
});

test("results are streamed in order as lines", async () => {
  await start();
  const { id } = (await post({ payload: json(messages(1_100)) })).json();
  await ended(id);
  const response = await get(`/bulk/${id}/results`);
  expect(response.headers["content-type"]).toBe("application/x-ndjson; charset=utf-8");
  const lines = response.body
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text));
  expect(lines).toHaveLength(1_100);
  expect(lines[1_099]).toEqual({ index: 1_099, to: "to1099", status: "succeeded" });
  expect((await get("/bulk/batch_none/results")).statusCode).toBe(404);
});

test("progress is streamed as events until the batch ends", async () => {
  const gates: (() => void)[] = [];
  await start(() => new Promise<void>((resolve) => void gates.push(resolve)));
  const { id } = (await post({ payload: json(messages(1)) })).json();
  const streamed = get(`/bulk/${id}/events`);
  await until("the item to run", () => gates.length === 1);
  gates[0]?.();
  const response = await streamed;
  expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  const events = response.body.trimEnd().split("\n\n");
  expect(events.at(-1)).toMatch(/^event: progress\ndata: \{.*"status":"completed".*\}$/);
});

/** A request on a socket whose body the test writes piece by piece. */
async function open(key: string | undefined) {
  const { url } = await harness.edge.listen({ host: "127.0.0.1", port: 0 });
  const authorization = await harness.bearer();
  const response = Promise.withResolvers<IncomingMessage>();
  const request: ClientRequest = httpRequest(`${url}/bulk`, {
    method: "POST",
    headers: {
      authorization,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
    },
  });
  request.on("response", (incoming) => {
    incoming.resume();
    response.resolve(incoming);
  });
  return { request, response: response.promise };
}

async function staged(): Promise<number> {
  const rows = await harness.durable.read(
    "staged",
    ({ sql }) => sql`select n from forge_batch_chunks`,
  );
  return rows.length;
}
