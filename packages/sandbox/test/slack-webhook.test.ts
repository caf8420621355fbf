import { describe, expect, test } from "vitest";
import { sandboxForTest } from "./start.ts";

/** Status and body, as curl shows them. */
async function seen(answer: Response): Promise<string> {
  return `${answer.status} ${await answer.text()}`;
}

describe("an incoming webhook", () => {
  test("takes a JSON message and answers ok as plain text", async () => {
    const { post } = await sandboxForTest();
    const answer = await post({ text: "Hello" });
    expect(answer.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await seen(answer)).toBe("200 ok");
  });

  test("takes a form whose field payload is JSON", async () => {
    const { webhook, messages } = await sandboxForTest();
    const body = new URLSearchParams({ payload: JSON.stringify({ text: "Häagen & <ok>" }) });
    expect(await seen(await fetch(webhook, { method: "POST", body }))).toBe("200 ok");
    expect(await messages()).toMatchObject([{ body: { text: "Häagen & <ok>" }, posted: true }]);
  });

  test.each([
    [{ blocks: [{ type: "divider" }] }],
    [{ attachments: [{ text: "x" }] }],
    [{ text: "x", blocks: [], attachments: [] }],
  ])("takes %j", async (message) => {
    const { post } = await sandboxForTest();
    expect(await seen(await post(message))).toBe("200 ok");
  });

  test.each([
    ["not json", "400 invalid_payload"],
    ["", "400 invalid_payload"],
    ["[]", "400 invalid_payload"],
    ["null", "400 invalid_payload"],
    [{ text: 7 }, "400 invalid_payload"],
    [{ text: "x", blocks: {} }, "400 invalid_payload"],
    [{}, "400 no_text"],
    [{ text: "" }, "400 no_text"],
    [{ text: "", blocks: [] }, "400 no_text"],
    [{ text: "x", blocks: ["divider"] }, "400 invalid_blocks"],
    [{ text: "x", blocks: [{ type: "" }] }, "400 invalid_blocks"],
    [{ blocks: Array.from({ length: 51 }, () => ({ type: "divider" })) }, "400 invalid_blocks"],
    [{ attachments: Array.from({ length: 101 }, () => ({})) }, "400 too_many_attachments"],
  ])("refuses %j with %s", async (message, expected) => {
    const { post } = await sandboxForTest();
    expect(await seen(await post(message))).toBe(expected);
  });

  test("refuses JSON that is sent as a form", async () => {
    const { webhook } = await sandboxForTest();
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await fetch(webhook, { method: "POST", headers, body: '{"text":"Hello"}' });
    expect(await seen(answer)).toBe("400 invalid_payload");
  });

  test.each([
    ["X0ACME/B0ALERTS/token", "404 no_team"],
    ["", "404 no_team"],
    ["T0ACME/X0ALERTS/token", "404 no_service"],
    ["T0ACME", "404 no_service"],
    ["T0ACME/B0ALERTS", "403 invalid_token"],
    ["T0ACME/B0ALERTS/to-ken", "403 invalid_token"],
    ["T0ACME/B0ALERTS/token/more", "403 invalid_token"],
  ])("at /services/%s answers %s", async (path, expected) => {
    const { post, url } = await sandboxForTest();
    expect(await seen(await post({ text: "Hello" }, `${url}/services/${path}`))).toBe(expected);
  });

  test("answers 405 to anything but POST", async () => {
    const { webhook } = await sandboxForTest();
    const answer = await fetch(webhook);
    expect(answer.status).toBe(405);
    expect(answer.headers.get("allow")).toBe("POST");
  });

  test("reads a body of exactly 1 MiB and refuses one byte more", async () => {
    const { post } = await sandboxForTest();
    const frame = JSON.stringify({ text: "" }).length;
    expect((await post({ text: "x".repeat(1_048_576 - frame) })).status).toBe(200);
    expect((await post({ text: "x".repeat(1_048_577 - frame) })).status).toBe(413);
  });

  test("with the rate limit on takes one message per second and webhook", async () => {
    let nowMs = Date.UTC(2026, 10, 21);
    const { post, control, url } = await sandboxForTest({ now: () => nowMs });
    expect(await (await control("PUT", "rate-limit", { enabled: true })).json()).toEqual({
      enabled: true,
    });
    expect((await post({ text: "1" })).status).toBe(200);
    nowMs += 999;
    const refused = await post({ text: "2" });
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await post({ text: "other" }, `${url}/services/T0/B0/other`)).status).toBe(200);
    nowMs += 1;
    expect((await post({ text: "3" })).status).toBe(200);
    await control("PUT", "rate-limit", { enabled: false });
    expect((await post({ text: "4" })).status).toBe(200);
  });
});

describe("what arrived", () => {
  test("is listed with its time, headers, message and the status that was answered", async () => {
    const { post, messages } = await sandboxForTest({ now: () => Date.UTC(2026, 10, 21) });
    await post({ text: "Hello" });
    await post("not json");
    expect(await messages()).toEqual([
      {
        id: 1,
        receivedAt: "2026-11-21T00:00:00.000Z",
        webhook: "T0ACME/B0ALERTS",
        headers: expect.objectContaining({ "content-type": "application/json" }),
        body: { text: "Hello" },
        status: 200,
        error: null,
        fault: "none",
        posted: true,
      },
      expect.objectContaining({
        id: 2,
        body: "not json",
        status: 400,
        error: "invalid_payload",
        posted: false,
      }),
    ]);
  });

  test("never shows a webhook's token", async () => {
    const { post, url } = await sandboxForTest();
    await post({ text: "Hello" });
    for (const path of ["/", "/_sandbox/slack/messages"]) {
      expect(await (await fetch(url + path)).text()).not.toContain("s3cr3tToken");
    }
  });

  test("is forgotten on DELETE", async () => {
    const { post, control, messages } = await sandboxForTest();
    await post({ text: "Hello" });
    expect((await control("DELETE", "messages")).status).toBe(204);
    expect(await messages()).toEqual([]);
    await post({ text: "Again" });
    expect(await messages()).toMatchObject([{ id: 2, body: { text: "Again" } }]);
  });

  test("is bounded in number: the oldest go first", async () => {
    const { post, messages } = await sandboxForTest();
    for (let n = 1; n <= 505; n++) await post({ text: String(n) });
    const kept = await messages();
    expect(kept).toHaveLength(500);
    expect(kept.at(0)).toMatchObject({ id: 6 });
    expect(kept.at(-1)).toMatchObject({ id: 505 });
  });

  test("is bounded in bytes", async () => {
    const { post, messages } = await sandboxForTest();
    for (let n = 0; n < 9; n++) await post({ text: "x".repeat(1_000_000) });
    const kept = await messages();
    expect(kept).toHaveLength(8);
    expect(kept.at(-1)).toMatchObject({ id: 9 });
  });
});
