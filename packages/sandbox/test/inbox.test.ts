import { expect, test } from "vitest";
import { sandboxForTest } from "./start.ts";

async function inbox() {
  const { url } = await sandboxForTest();
  return {
    url,
    post: (body: string, key?: string) =>
      fetch(`${url}/crm/`, {
        method: "POST",
        headers: key === undefined ? {} : { "idempotency-key": key },
        body,
      }),
    fault: (body: object) =>
      fetch(`${url}/_sandbox/crm/fault`, { method: "PUT", body: JSON.stringify(body) }),
    async messages(name = "crm"): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${url}/_sandbox/${name}/messages`);
      return ((await answer.json()) as { messages: Record<string, unknown>[] }).messages;
    },
  };
}

test("keeps what is posted, each endpoint for itself", async () => {
  const { post, messages } = await inbox();
  expect((await post('{"id":1}', "k")).status).toBe(202);
  expect(await messages()).toMatchObject([
    { body: { id: 1 }, idempotencyKey: "k", accepted: true, repeated: false, status: 202 },
  ]);
  expect(await messages("sms")).toEqual([]);
});

test("knows a repeat by its idempotency key, once it was accepted", async () => {
  const { post, fault, messages } = await inbox();
  await fault({ kind: "503", times: 1 });
  expect((await post('{"id":1}', "k")).status).toBe(503);
  await post('{"id":1}', "k");
  await post('{"id":1}', "k");
  await post('{"id":1}');
  await post('{"id":1}');
  const seen = (await messages()).map(({ accepted, repeated }) => [accepted, repeated]);
  expect(seen).toEqual([
    [false, false],
    [true, false],
    [true, true],
    [true, false],
    [true, false],
  ]);
});

test("refuses what is no JSON object, and other methods", async () => {
  const { url, post } = await inbox();
  expect((await post("[]")).status).toBe(400);
  expect((await post("{")).status).toBe(400);
  expect((await fetch(`${url}/crm/`)).status).toBe(405);
});

test("says when to come back, or breaks the connection, when it is told to", async () => {
  const { post, fault } = await inbox();
  await fault({ kind: "429", retryAfterSeconds: 3, times: 1 });
  const limited = await post("{}");
  expect(limited.status).toBe(429);
  expect(limited.headers.get("retry-after")).toBe("3");
  await fault({ kind: "dead", times: 1 });
  await expect(post("{}")).rejects.toThrow("fetch failed");
});

test("shows what arrived on the page, escaped", async () => {
  const { url, post } = await inbox();
  await post('{"name":"<b>"}');
  const page = await (await fetch(url)).text();
  expect(page).toContain("1 accepted");
  expect(page).toContain("&lt;b&gt;");
});
