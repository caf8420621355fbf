import { eventually, storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { bulkStage, messagesTo } from "./stage.ts";

const unknownSid = `SM${"a".repeat(32)}`;
const report = { MessageSid: unknownSid, MessageStatus: "delivered", To: "+15551230001" };

describe.for(storeNames)("Twilio's status callbacks, %s", (store) => {
  const stage = bulkStage(store);

  test.for([
    ["another signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="],
    ["no signature", null],
    ["an empty signature", ""],
  ] as const)("with %s are refused with 401, and nothing is stored", async ([, signature]) => {
    const before = await stage.storedRows?.();
    const answer = await stage.callback(report, { signature });
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="apiforge"');
    expect(answer.json()).toMatchObject({
      error: { type: "authentication_error", code: "invalid_signature" },
    });
    expect(await stage.storedRows?.()).toEqual(before);
  });

  test("whose parameters or query were changed are refused", async () => {
    const good = await stage.callback(report);
    expect(good.status).toBe(200);
    const unsigned = await stage.client().request({
      method: "POST",
      path: "/webhooks/twilio/status?message=batch_1%3A0",
      rawBody: new URLSearchParams(report).toString(),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    expect(unsigned.status).toBe(401);
    const json = await stage.client().request({
      method: "POST",
      path: "/webhooks/twilio/status",
      body: report,
    });
    expect(json.status).toBe(401);
  });

  test("of a message that is not ours are received, and change nothing", async () => {
    const before = await stage.storedRows?.();
    for (let copy = 0; copy < 2; copy++) {
      const answer = await stage.callback(report);
      expect([answer.status, answer.json()]).toEqual([200, { received: true }]);
    }
    expect(await stage.storedRows?.()).toEqual(before);
  });

  test("are taken once, whatever their order and number", async () => {
    // What the sandbox posts does not reach this message: it is told by hand.
    const { messages, text } = messagesTo("+15551230001");
    const jobId = await stage.whileTwilio({ callbacks: { copies: 0 } }, async () => {
      const id = await stage.submit(messages);
      await stage.ended(id);
      return id;
    });
    const [asked] = await stage.asked(text);
    const sid = asked?.sid ?? "";
    const query = new URL(asked?.form["StatusCallback"] ?? "").search;
    expect(query).toBe(`?message=${jobId}%3A0`);
    const statuses = ["sent", "undelivered", "undelivered", "delivered", "queued", "sent"];
    for (const MessageStatus of statuses) {
      const form = { MessageSid: sid, MessageStatus, ErrorCode: "30007", To: "+15551230001" };
      const answer = await stage.callback(form, { query });
      expect([answer.status, answer.json()]).toEqual([200, { received: true }]);
    }
    const [row] = await stage.rows("select status, error_code from message_sends where sid = $1", [
      sid,
    ]);
    expect(row).toMatchObject({ status: "undelivered", error_code: 30007 });
    const jobs = await stage.rows(
      "select id from forge_jobs where type = 'settle-message-price' and payload like $1",
      [`%${sid}%`],
    );
    expect(jobs).toHaveLength(1);
    expect(await stage.status(jobId)).toMatchObject({ failed: 1 });
  });

  test("that repeat at once are taken once", async () => {
    const { messages, text } = messagesTo("+15551230001");
    const jobId = await stage.whileTwilio({ callbacks: { copies: 0 } }, async () => {
      const id = await stage.submit(messages);
      await stage.ended(id);
      return id;
    });
    const [asked] = await stage.asked(text);
    const form = { MessageSid: asked?.sid ?? "", MessageStatus: "undelivered", To: "+15551230001" };
    const query = `?message=${jobId}%3A0`;
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => stage.callback(form, { query })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
    await eventually("one report", async () => (await stage.status(jobId)).failed === 1);
  });

  test("without SID or status are refused once their signature is right", async () => {
    const answer = await stage.callback({ To: "+15551230001" });
    expect(answer.status).toBe(400);
  });
});
