import { eventually, storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { bulkStage, messagesTo, numbers } from "./stage.ts";

describe.for(storeNames)("bulk messages and a Twilio in trouble, %s", (store) => {
  const stage = bulkStage(store);

  test.for(["429", "500", "503"])("%s is tried again, and the message is sent", async (kind) => {
    const { messages, text } = messagesTo("+15551230001");
    await stage.control("PUT", "fault", { kind, retryAfterSeconds: 1, times: 1 });
    const jobId = await stage.submit(messages);
    expect(await stage.ended(jobId)).toMatchObject({ status: "COMPLETED", failed: 0 });
    const asked = await stage.asked(text);
    expect(asked.map(({ status }) => status)).toEqual([Number(kind), 201]);
    const items = await stage.send({ path: `/bulk-messages/${jobId}/items` });
    expect(items.json()).toMatchObject({ data: [{ status: "succeeded", attempts: 2 }] });
  });

  // No callback tells of them: the list of messages has to.
  const lost = (times: number) => ({ fault: { kind: "lost", times }, callbacks: { copies: 0 } });

  test("a message whose answer was lost is found, not sent twice", async () => {
    const { messages, text } = messagesTo("+15551230777");
    await stage.whileTwilio(lost(1), async () => {
      const jobId = await stage.submit(messages);
      expect(await stage.ended(jobId)).toMatchObject({ status: "COMPLETED", failed: 0 });
      const asked = await stage.asked(text);
      expect(asked).toMatchObject([{ status: null, sid: expect.any(String) }]);
      const items = await stage.send({ path: `/bulk-messages/${jobId}/items` });
      expect(items.json()).toMatchObject({ data: [{ sid: asked[0]?.sid, attempts: 2 }] });
    });
  });

  test("equal messages to one number are told apart after lost answers", async () => {
    const equal = messagesTo(...Array.from({ length: 6 }, () => "+15551230778"));
    await stage.whileTwilio(lost(6), async () => {
      const jobId = await stage.submit(equal.messages);
      expect(await stage.ended(jobId)).toMatchObject({ processed: 6, failed: 0 });
      expect(await stage.asked(equal.text)).toHaveLength(6);
      const items = await stage.send({ path: `/bulk-messages/${jobId}/items` });
      const { data } = items.json() as { data: { sid: string }[] };
      expect(new Set(data.map(({ sid }) => sid)).size).toBe(6);
    });
  });

  test("a dead Twilio delays nothing but its messages", async () => {
    await stage.whileTwilio({ fault: { kind: "dead" } }, async () => {
      const { messages } = messagesTo(...numbers(20));
      const jobId = await stage.submit(messages);
      await eventually("a failed attempt", async () => {
        const items = await stage.send({ path: `/bulk-messages/${jobId}/items` });
        const { data } = items.json() as { data: { attempts: number }[] };
        return data.some(({ attempts }) => attempts > 0);
      });
      const project = await stage.send({
        method: "POST",
        path: "/api/projects",
        body: { name: "Unimpressed" },
      });
      expect(project.status).toBe(201);
      await eventually("the project's alert", async () =>
        (await stage.deployment().sandbox.slackDeliveries()).some(({ posted }) => posted),
      );
      expect(await stage.status(jobId)).toMatchObject({ status: "IN_PROGRESS", processed: 0 });
      await stage.control("DELETE", "fault");
      expect(await stage.ended(jobId)).toMatchObject({ status: "COMPLETED", failed: 0 });
    });
  });

  test("the price that Twilio tells replaces what was reserved", async () => {
    const { messages } = messagesTo("+15551230001", "+15551230002", "+15005550004");
    await stage.control("PUT", "pricing", { perSegment: "0.0050" });
    await stage.submit(messages, "stranger");
    const spend = (): ReturnType<typeof stage.rows> =>
      stage.rows(
        "select reserved_micros, spent_micros from message_spend where tenant = 'ten_other'",
      );
    await eventually("the settlement", async () => {
      const [row] = await spend();
      return Number(row?.["spent_micros"]) === 10_000;
    });
    const [row] = await spend();
    expect(Number(row?.["reserved_micros"])).toBe(0);
  });
});

describe.for(storeNames)("the spending cap, %s", (store) => {
  // Room for ten messages at the listed price.
  const stage = bulkStage(store, { TWILIO_SPENDING_CAP_USD: "0.083" });

  test("ends what a tenant can send, says so once per level, and leaves others alone", async () => {
    // Callbacks would settle the prices, which are equal to what was reserved.
    const { messages, text } = messagesTo(...numbers(40));
    const jobId = await stage.submit(messages);
    expect(await stage.ended(jobId)).toMatchObject({
      status: "COMPLETED",
      processed: 40,
      failed: 30,
    });
    expect(await stage.asked(text)).toHaveLength(10);
    const failed = await stage.send({
      path: `/bulk-messages/${jobId}/items?status=failed&limit=1`,
    });
    expect(failed.json()).toMatchObject({
      data: [
        {
          attempts: 1,
          error: {
            code: "spend_cap_reached",
            message: expect.stringContaining("cap of 0.08 USD"),
          },
        },
      ],
    });
    const alerts = await stage.rows(
      "select data from forge_events where type = 'message-spend.alert' order by seq",
    );
    expect(
      alerts.map(({ data }) => (JSON.parse(String(data)) as { percent: number }).percent),
    ).toEqual([50, 80, 100]);
    await eventually(
      "the line on stderr",
      async () =>
        stage.server().stderr().includes("ten_apiforge in") &&
        stage.server().stderr().includes("100 % of the cap"),
    );
    const other = messagesTo("+15551230001");
    const otherJob = await stage.submit(other.messages, "stranger");
    await eventually(
      "the other tenant's message",
      async () => (await stage.asked(other.text)).length === 1 && otherJob !== "",
    );
  });
});

describe("the rate of the sender", () => {
  const stage = bulkStage("sqlite", { TWILIO_MESSAGES_PER_SECOND: "5" });

  test("is kept over all jobs: Twilio, which counts, refuses none", async () => {
    // Twice the rate: between its slot and its arrival each message takes a time of its own.
    await stage.control("PUT", "rate-limit", { perSecond: 10 });
    const { messages, text } = messagesTo(...numbers(8));
    const jobs = await Promise.all([stage.submit(messages), stage.submit(messages)]);
    for (const job of jobs) expect(await stage.ended(job)).toMatchObject({ failed: 0 });
    const asked = await stage.asked(text);
    expect(asked.map(({ status }) => status)).toEqual(Array.from({ length: 16 }, () => 201));
  });
});
