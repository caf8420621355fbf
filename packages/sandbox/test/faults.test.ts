import { describe, expect, test } from "vitest";
import { sandboxForTest } from "./start.ts";

describe("a fault", () => {
  test.each([
    ["500", 500, "rollup_error"],
    ["503", 503, "service_unavailable"],
    ["channel_is_archived", 410, "channel_is_archived"],
    ["action_prohibited", 403, "action_prohibited"],
    ["no_service", 404, "no_service"],
    ["invalid_payload", 400, "invalid_payload"],
  ])("%s answers %d %s, and the message is not posted", async (kind, status, body) => {
    const { post, control, messages } = await sandboxForTest();
    await control("PUT", "fault", { kind });
    const answer = await post({ text: "Hello" });
    expect(answer.status).toBe(status);
    expect(await answer.text()).toBe(body);
    expect(await messages()).toMatchObject([{ status, error: body, fault: kind, posted: false }]);
  });

  test("429 answers with Retry-After and Slack's JSON", async () => {
    const { post, control, messages } = await sandboxForTest();
    await control("PUT", "fault", { kind: "429", retryAfterSeconds: 17 });
    const answer = await post({ text: "Hello" });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("17");
    expect(await answer.json()).toEqual({ ok: false, error: "rate_limited", retry_after: 17 });
    expect(await messages()).toMatchObject([{ status: 429, error: "rate_limited" }]);
  });

  test("dead resets the connection without an answer", async () => {
    const { post, control, messages } = await sandboxForTest();
    await control("PUT", "fault", { kind: "dead" });
    await expect(post({ text: "Hello" })).rejects.toThrow("fetch failed");
    expect(await messages()).toMatchObject([{ status: null, fault: "dead", posted: false }]);
  });

  test("slow posts the message at once and answers late", async () => {
    const { webhook, control, messages, post } = await sandboxForTest();
    await control("PUT", "fault", { kind: "slow", delayMs: 600_000, times: 1 });
    const caller = new AbortController();
    const body = JSON.stringify({ text: "first" });
    const answer = fetch(webhook, { method: "POST", body, signal: caller.signal });
    await expect.poll(messages).toHaveLength(1);
    expect((await post({ text: "second" })).status).toBe(200);
    expect(await messages()).toMatchObject([
      { posted: true, status: null, fault: "slow" },
      { posted: true, status: 200, fault: "none" },
    ]);
    caller.abort();
    await expect(answer).rejects.toThrow("aborted");
  });

  test("slow does answer in the end", async () => {
    const { post, control, messages } = await sandboxForTest();
    await control("PUT", "fault", { kind: "slow", delayMs: 1 });
    expect((await post({ text: "Hello" })).status).toBe(200);
    expect(await messages()).toMatchObject([{ posted: true, status: 200 }]);
  });

  test("with times passes by itself", async () => {
    const { post, control } = await sandboxForTest();
    await control("PUT", "fault", { kind: 503, times: 2 });
    const statuses: number[] = [];
    for (let n = 0; n < 4; n++) statuses.push((await post({ text: "Hello" })).status);
    expect(statuses).toEqual([503, 503, 200, 200]);
    expect(await (await control("GET", "fault")).json()).toMatchObject({ kind: "none" });
  });

  test("without times lasts until it is changed", async () => {
    const { post, control } = await sandboxForTest();
    await control("PUT", "fault", { kind: "500" });
    for (let n = 0; n < 3; n++) expect((await post({ text: "Hello" })).status).toBe(500);
    await control("PUT", "fault", { kind: "none" });
    expect((await post({ text: "Hello" })).status).toBe(200);
    await control("PUT", "fault", { kind: "500" });
    expect((await control("DELETE", "fault")).status).toBe(204);
    expect((await post({ text: "Hello" })).status).toBe(200);
  });
});

describe("the control API", () => {
  test.each([
    ["fault", { kind: "404" }, "kind must be one of none, 500"],
    ["fault", {}, "kind must be one of"],
    ["fault", [], "must be a JSON object"],
    ["fault", { kind: "slow", delay: 5 }, "Unknown field delay"],
    ["fault", { kind: "slow", delayMs: -1 }, "delayMs must be a whole number"],
    ["fault", { kind: "slow", delayMs: "5" }, "delayMs must be a whole number"],
    ["fault", { kind: "500", times: 0 }, "times must be a whole number"],
    ["fault", { kind: "429", retryAfterSeconds: 1.5 }, "retryAfterSeconds must be a whole number"],
    ["rate-limit", { enabled: "yes" }, "enabled must be true or false"],
  ])("refuses %s %j", async (resource, body, message) => {
    const { control } = await sandboxForTest();
    const answer = await control("PUT", resource, body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: expect.stringContaining(message) });
  });

  test("refuses a body that is not JSON", async () => {
    const { url } = await sandboxForTest();
    const answer = await fetch(`${url}/_sandbox/slack/fault`, { method: "PUT", body: "500!" });
    expect(answer.status).toBe(400);
  });

  test("answers 405 with the methods that there are", async () => {
    const { control } = await sandboxForTest();
    const answer = await control("POST", "messages");
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("GET, DELETE");
  });

  test.each(["slack/none", "slack/fault/more", "slack", "", "stripe/fault", "slack/toString"])(
    "answers 404 to /_sandbox/%s and names what there is",
    async (path) => {
      const { url } = await sandboxForTest();
      const answer = await fetch(`${url}/_sandbox/${path}`);
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({
        known: expect.arrayContaining(["/_sandbox/slack/fault"]),
      });
    },
  );

  test("is not reached by a request that a page of another origin may send", async () => {
    const { control, url } = await sandboxForTest();
    const preflight = await fetch(`${url}/_sandbox/slack/fault`, {
      method: "OPTIONS",
      headers: { origin: "https://evil.example", "access-control-request-method": "PUT" },
    });
    expect(preflight.headers.get("access-control-allow-origin")).toBeNull();
    expect(await (await control("GET", "fault")).json()).toMatchObject({ kind: "none" });
  });
});
