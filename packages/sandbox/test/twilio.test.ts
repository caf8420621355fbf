import twilio from "twilio";
import { describe, expect, test } from "vitest";
import { accountSid, authToken, callbackReceiver, sender, twilioForTest } from "./start-twilio.ts";

/** The official SDK, the judge of what goes over the wire, pointed at a sandbox. */
function sdkOf(url: string, token = authToken) {
  const client = twilio(accountSid, token);
  client.api.baseUrl = url;
  return client;
}

describe("sending a message", () => {
  test("answers 201 with the resource, which the SDK reads", async () => {
    const { url } = await twilioForTest();
    const body = "Häagen & <ok> 1=2";
    const created = await sdkOf(url).messages.create({ to: "+15551230001", from: sender, body });
    expect(created).toMatchObject({
      sid: expect.stringMatching(/^SM[0-9a-f]{32}$/),
      accountSid,
      to: "+15551230001",
      from: sender,
      body,
      status: "queued",
      numSegments: "1",
      direction: "outbound-api",
      price: null,
      errorCode: null,
      apiVersion: "2010-04-01",
    });
    expect(created.dateCreated).toBeInstanceOf(Date);
    const fetched = await sdkOf(url).messages(created.sid).fetch();
    expect(fetched.sid).toBe(created.sid);
  });

  test("on the wire is a form in and JSON with a request id out", async () => {
    const { send } = await twilioForTest();
    const answer = await send({ To: "+15551230001" });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("content-type")).toMatch(/^application\/json/);
    expect(answer.headers.get("twilio-request-id")).toMatch(/^RQ[0-9a-f]{32}$/);
  });

  test.each([
    [{ To: "12345" }, 400, 21211, "The 'To' number 12345 is not a valid phone number."],
    [{ To: "+15005550001" }, 400, 21211, "is not a valid phone number"],
    [{ To: sender }, 400, 21211, "is not a valid phone number"],
    [{ To: "+15005550002" }, 400, 21612, "is not currently reachable"],
    [{ To: "+15005550003" }, 400, 21408, "Permission to send"],
    [{ To: "+15005550004" }, 400, 21610, "Attempt to send to unsubscribed recipient"],
    [{ To: "+15005550009" }, 400, 21614, "is not a mobile number"],
    [{ To: "+15005550608" }, 400, 21608, "is unverified. Trial accounts cannot send"],
    [{ To: "" }, 400, 21604, "A 'To' phone number is required."],
    [{ To: "+15551230001", From: "" }, 400, 21603, "A 'From' phone number is required."],
    [{ To: "+15551230001", From: "+15005550007" }, 400, 21606, "is not a valid message-capable"],
    [{ To: "+15551230001", Body: "" }, 400, 21602, "Message body is required."],
    [{ To: "+15551230001", Body: "x".repeat(1_601) }, 400, 21617, "exceeds the 1600"],
    [{ To: "+15551230001", StatusCallback: "nowhere" }, 400, 21609, "StatusCallback"],
  ])("%j is refused with %d %d", async (form, status, code, message) => {
    const { send, requests } = await twilioForTest();
    const answer = await send(form);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({
      code,
      status,
      message: expect.stringContaining(message),
      more_info: `https://www.twilio.com/docs/errors/${code}`,
    });
    expect(await requests()).toMatchObject([{ status, errorCode: code, sid: null }]);
  });

  test("reaches the SDK's caller as a RestException", async () => {
    const { url } = await twilioForTest();
    const sent = sdkOf(url).messages.create({ to: "+15005550004", from: sender, body: "Hi" });
    await expect(sent).rejects.toMatchObject({ status: 400, code: 21610 });
  });

  test("with another auth token is answered with 401 20003, and nothing is kept", async () => {
    const { url, requests } = await twilioForTest();
    const sent = sdkOf(url, "wrong").messages.create({
      to: "+15551230001",
      from: sender,
      body: "x",
    });
    await expect(sent).rejects.toMatchObject({ status: 401, code: 20003 });
    expect(await requests()).toEqual([]);
  });

  test.each([
    ["Hello", 1],
    ["x".repeat(160), 1],
    ["x".repeat(161), 2],
    ["x".repeat(306), 2],
    ["x".repeat(307), 3],
    ["€".repeat(80), 1],
    ["€".repeat(81), 2],
    // 153 septets hold 76 of them and not half of the next.
    ["€".repeat(153), 3],
    ["ж".repeat(70), 1],
    ["ж".repeat(71), 2],
    ["😀".repeat(35), 1],
    ["😀".repeat(67), 3],
  ])("%j has %d segments", async (body, segments) => {
    const { send } = await twilioForTest();
    const answer = await send({ To: "+15551230001", Body: body });
    expect(await answer.json()).toMatchObject({ num_segments: String(segments) });
  });
});

describe("reading messages", () => {
  test("lists those of a recipient, newest first, as the SDK reads them", async () => {
    const { url } = await twilioForTest();
    const client = sdkOf(url);
    for (const body of ["first", "second"]) {
      await client.messages.create({ to: "+15551230001", from: sender, body });
    }
    await client.messages.create({ to: "+15551230002", from: sender, body: "other" });
    const listed = await client.messages.list({ to: "+15551230001", limit: 20 });
    expect(listed.map(({ body }) => body)).toEqual(["second", "first"]);
  });

  test.each([
    [`Messages/SM${"0".repeat(32)}.json`, "GET", 404, 20404],
    ["Calls.json", "GET", 404, 20404],
    ["Messages.json", "DELETE", 405, 20004],
  ])("%s %s answers %d", async (resource, method, status, code) => {
    const { url, authorization } = await twilioForTest();
    const target = `${url}/2010-04-01/Accounts/${accountSid}/${resource}`;
    const answer = await fetch(target, { method, headers: { authorization } });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code });
  });
});

describe("status callbacks", () => {
  test("come as queued, sent and delivered, each signed as the SDK expects it", async () => {
    const { origin, received } = await callbackReceiver();
    const { send, get, messagesUrl, control, callbacks } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0 });
    const url = `${origin}/status?message=bat_1%3A7`;
    const created = await send({ To: "+15551230001", StatusCallback: url });
    const { sid } = (await created.json()) as { sid: string };
    await expect.poll(() => received.length).toBe(3);
    expect(received.map(({ form }) => form["MessageStatus"])).toEqual([
      "queued",
      "sent",
      "delivered",
    ]);
    for (const { form, signature, url: seen } of received) {
      expect(seen).toBe(url);
      expect(form).toMatchObject({ MessageSid: sid, AccountSid: accountSid, To: "+15551230001" });
      expect(form).not.toHaveProperty("ErrorCode");
      expect(twilio.validateRequest(authToken, signature, url, form)).toBe(true);
      expect(twilio.validateRequest("another", signature, url, form)).toBe(false);
    }
    const resource = await get(messagesUrl.replace(".json", `/${sid}.json`));
    expect(await resource.json()).toMatchObject({ status: "delivered", price: "-0.00830" });
    await expect
      .poll(callbacks)
      .toMatchObject([
        { status: 200 },
        { status: 200 },
        { status: 200, messageStatus: "delivered" },
      ]);
  });

  test.each([
    ["+15005550307", "30007"],
    ["+15005550303", "30003"],
  ])("to %s end undelivered with %s", async (to, errorCode) => {
    const { origin, received } = await callbackReceiver();
    const { send, control } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0 });
    await send({ To: to, StatusCallback: `${origin}/status` });
    await expect.poll(() => received.length).toBe(3);
    expect(received.at(-1)?.form).toMatchObject({
      MessageStatus: "undelivered",
      ErrorCode: errorCode,
    });
  });

  test("may come twice and in reverse", async () => {
    const { origin, received } = await callbackReceiver();
    const { send, control } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0, copies: 2, reversed: true });
    await send({ To: "+15551230001", StatusCallback: `${origin}/status` });
    await expect.poll(() => received.length).toBe(6);
    expect(received.map(({ form }) => form["MessageStatus"])).toEqual([
      "delivered",
      "delivered",
      "sent",
      "sent",
      "queued",
      "queued",
    ]);
  });

  test("that are refused or meet nobody are not posted again", async () => {
    const { origin, received } = await callbackReceiver(500);
    const { send, control, callbacks } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0 });
    await send({ To: "+15551230001", StatusCallback: `${origin}/status` });
    await expect.poll(callbacks).toMatchObject([{ status: 500 }, { status: 500 }, { status: 500 }]);
    expect(received).toHaveLength(3);
    await control("DELETE", "callbacks");
    await send({ To: "+15551230001", StatusCallback: "http://127.0.0.1:9/status" });
    await expect
      .poll(callbacks)
      .toMatchObject([{ status: null }, { status: null }, { messageStatus: "delivered" }]);
  });
});

describe("a fault", () => {
  test.each([
    ["500", 500, 20500],
    ["503", 503, 20503],
    ["21211", 400, 21211],
    ["21608", 400, 21608],
    ["21610", 400, 21610],
    ["20003", 401, 20003],
  ])("%s answers %d, and no message is taken", async (kind, status, code) => {
    const { send, control, requests } = await twilioForTest();
    await control("PUT", "fault", { kind, times: 1 });
    const answer = await send({ To: "+15551230001" });
    expect(answer.status).toBe(status);
    expect(await answer.json()).toMatchObject({ code, status });
    expect(await requests()).toMatchObject([{ status, errorCode: code, fault: kind, sid: null }]);
    expect((await send({ To: "+15551230001" })).status).toBe(201);
  });

  test("429 answers with Retry-After", async () => {
    const { send, control } = await twilioForTest();
    await control("PUT", "fault", { kind: "429", retryAfterSeconds: 17 });
    const answer = await send({ To: "+15551230001" });
    expect(answer.status).toBe(429);
    expect(answer.headers.get("retry-after")).toBe("17");
    expect(await answer.json()).toMatchObject({ code: 20429, message: "Too Many Requests" });
  });

  test("dead takes nothing, and lost takes the message; both reset the connection", async () => {
    const { send, control, requests } = await twilioForTest();
    await control("PUT", "fault", { kind: "dead", times: 1 });
    await expect(send({ To: "+15551230001" })).rejects.toThrow("fetch failed");
    await control("PUT", "fault", { kind: "lost", times: 1 });
    await expect(send({ To: "+15551230001" })).rejects.toThrow("fetch failed");
    expect(await requests()).toMatchObject([
      { fault: "dead", status: null, sid: null },
      { fault: "lost", status: null, sid: expect.stringMatching(/^SM/) },
    ]);
  });

  test("without times also meets who reads, with times only who sends", async () => {
    const { send, get, messagesUrl, control } = await twilioForTest();
    await control("PUT", "fault", { kind: "500", times: 1 });
    expect((await get(messagesUrl)).status).toBe(200);
    expect((await send({ To: "+15551230001" })).status).toBe(500);
    await control("PUT", "fault", { kind: "503" });
    expect((await get(messagesUrl)).status).toBe(503);
    await control("PUT", "fault", { kind: "dead" });
    await expect(get(messagesUrl)).rejects.toThrow("fetch failed");
  });

  test("slow takes the message at once and answers late", async () => {
    const { messagesUrl, authorization, control, requests } = await twilioForTest();
    await control("PUT", "fault", { kind: "slow", delayMs: 600_000, times: 1 });
    const caller = new AbortController();
    const answer = fetch(messagesUrl, {
      method: "POST",
      headers: { authorization },
      body: new URLSearchParams({ To: "+15551230001", From: sender, Body: "x" }),
      signal: caller.signal,
    });
    await expect
      .poll(requests)
      .toMatchObject([{ fault: "slow", status: null, sid: expect.any(String) }]);
    caller.abort();
    await expect(answer).rejects.toThrow("aborted");
  });

  test("30007 takes the message, which the carrier then filters", async () => {
    const { origin, received } = await callbackReceiver();
    const { send, control } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0 });
    await control("PUT", "fault", { kind: "30007", times: 1 });
    expect((await send({ To: "+15551230001", StatusCallback: `${origin}/s` })).status).toBe(201);
    await expect.poll(() => received.at(-1)?.form["ErrorCode"]).toBe("30007");
  });
});

describe("the control API", () => {
  test("limits messages per second", async () => {
    let nowMs = Date.UTC(2026, 10, 21);
    const { send, control } = await twilioForTest({ now: () => nowMs });
    await control("PUT", "rate-limit", { perSecond: 2 });
    const statuses: number[] = [];
    for (let n = 0; n < 3; n++) statuses.push((await send({ To: "+15551230001" })).status);
    nowMs += 1_000;
    statuses.push((await send({ To: "+15551230001" })).status);
    expect(statuses).toEqual([201, 201, 429, 201]);
  });

  test("sets the price of a segment", async () => {
    const { origin, received } = await callbackReceiver();
    const { send, control, get, messagesUrl } = await twilioForTest();
    await control("PUT", "callbacks", { delayMs: 0 });
    await control("PUT", "pricing", { perSegment: "0.05" });
    const created = await send({
      To: "+15551230001",
      Body: "x".repeat(161),
      StatusCallback: origin,
    });
    const { sid } = (await created.json()) as { sid: string };
    await expect.poll(() => received.length).toBe(3);
    const resource = await get(messagesUrl.replace(".json", `/${sid}.json`));
    expect(await resource.json()).toMatchObject({ price: "-0.10000", price_unit: "USD" });
  });

  test("counts the messages that were taken, and forgets them", async () => {
    const { send, control, requests } = await twilioForTest();
    for (let n = 0; n < 3; n++) await send({ To: "+15551230001" });
    const shown = await (await control("GET", "messages")).json();
    expect(shown).toMatchObject({ total: 3 });
    await control("DELETE", "messages");
    expect(await requests()).toEqual([]);
  });

  test.each([
    ["fault", { kind: "30008" }, "kind must be one of none, 500"],
    ["callbacks", { delayMs: -1 }, "delayMs must be a whole number"],
    ["callbacks", { reversed: "yes" }, "reversed must be true or false"],
    ["rate-limit", { perSecond: 0 }, "perSecond must be a whole number"],
    ["pricing", { perSegment: 0.01 }, "perSegment must be dollars as text"],
    ["pricing", { perSegment: "-1" }, "perSegment must be dollars as text"],
  ])("refuses %s %j", async (resource, body, message) => {
    const { control } = await twilioForTest();
    const answer = await control("PUT", resource, body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toEqual({ error: expect.stringContaining(message) });
  });
});

test("the page shows messages as text and nothing of the auth token", async () => {
  const { url, send } = await twilioForTest();
  await send({ To: "+15551230001", Body: "<img src=x>" });
  await send({ To: "+15005550004" });
  const page = await (await fetch(url)).text();
  expect(page).toContain("&lt;img src=x&gt;");
  expect(page).toContain("not taken: answered 400 21610");
  expect(page).toContain("/_sandbox/twilio/fault");
});
