import { eventually, storeNames } from "@apiforge/testing";
import { runScenarios } from "@apiforge/testing/scenario";
import { describe, expect, test } from "vitest";

import { bulkStage, messagesTo, numbers } from "./stage.ts";

const post = { method: "POST", path: "/bulk-messages", token: "priya" } as const;
const one = { to: "+15551230001", body: "Hello" };

describe.for(storeNames)("bulk messages, %s", (store) => {
  const stage = bulkStage(store);

  runScenarios(stage, [
    {
      name: "a number that is not E.164 is refused with its index, and nothing is stored",
      request: { ...post, body: { messages: [one, { to: "555 123", body: "Hello" }] } },
      expect: {
        status: 400,
        envelope: {
          type: "invalid_request_error",
          code: "validation_failed",
          param: "body.messages.1.to",
        },
        bodyHas: ["E.164"],
        stored: "nothing",
      },
    },
    {
      name: "an empty text is refused",
      request: { ...post, body: { messages: [{ to: "+15551230001", body: "" }] } },
      expect: { status: 400, bodyHas: ["body.messages.0.body"], stored: "nothing" },
    },
    {
      name: "a text of more than 1,600 characters is refused",
      request: { ...post, body: { messages: [{ ...one, body: "x".repeat(1_601) }] } },
      expect: { status: 400, bodyHas: ["body.messages.0.body"], stored: "nothing" },
    },
    {
      name: "an undeclared field is refused",
      request: { ...post, body: { messages: [{ ...one, from: "+15005550006" }] } },
      expect: { status: 400, bodyHas: ["unknown_field"], stored: "nothing" },
    },
    {
      name: "a job without messages is refused",
      request: { ...post, body: { messages: [] } },
      expect: { status: 400, stored: "nothing" },
    },
    {
      name: "a bad line of NDJSON is refused with its index",
      request: {
        ...post,
        rawBody: `${JSON.stringify(one)}\n{"to":"+1"}\n`,
        headers: { "content-type": "application/x-ndjson" },
      },
      expect: { status: 400, bodyHas: ["body.messages.1"], stored: "nothing" },
    },
    {
      name: "without a token nothing is accepted",
      request: { method: "POST", path: "/bulk-messages", body: { messages: [one] } },
      expect: {
        status: 401,
        envelope: { type: "authentication_error", code: "missing_token" },
        headers: { "www-authenticate": /^Bearer/ },
        stored: "nothing",
      },
    },
    ...["status", "items", "results", "events"].map((what) => ({
      name: `an unknown job has no ${what}`,
      request: { path: `/bulk-messages/batch_unknown/${what}`, token: "priya" },
      expect: { status: 404, envelope: { type: "not_found_error", code: "not_found" } },
    })),
  ]);

  test("a job is accepted, sent and reported", async () => {
    const { messages, text } = messagesTo(...numbers(5));
    const answer = await stage.send({ method: "POST", path: "/bulk-messages", body: { messages } });
    expect(answer.status).toBe(202);
    const accepted = answer.json() as { jobId: string };
    expect(accepted).toEqual({
      jobId: expect.stringMatching(/^\w+$/),
      status: "QUEUED",
      statusUrl: `/bulk-messages/${accepted.jobId}/status`,
    });
    expect(await stage.ended(accepted.jobId)).toEqual({
      jobId: accepted.jobId,
      status: "COMPLETED",
      total: 5,
      processed: 5,
      failed: 0,
      completedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    });
    const asked = await stage.asked(text);
    expect(asked.map(({ form }) => form["To"] ?? "").toSorted()).toEqual(numbers(5));
    expect(asked.every(({ form }) => form["From"] === "+15005550006")).toBe(true);
  });

  test("a job of NDJSON is a job like any other", async () => {
    const { messages, text } = messagesTo(...numbers(3));
    const answer = await stage.send({
      method: "POST",
      path: "/bulk-messages",
      rawBody: messages.map((message) => JSON.stringify(message)).join("\n"),
      headers: { "content-type": "application/x-ndjson" },
    });
    expect(answer.status, answer.body).toBe(202);
    const { jobId } = answer.json() as { jobId: string };
    expect(await stage.ended(jobId)).toMatchObject({ status: "COMPLETED", total: 3 });
    expect(await stage.asked(text)).toHaveLength(3);
  });

  test("the same idempotency key is the same job, and its messages are sent once", async () => {
    const { messages, text } = messagesTo(...numbers(3));
    const headers = { "idempotency-key": `key-${text}`.replaceAll(" ", "-") };
    const request = { method: "POST", path: "/bulk-messages", headers, body: { messages } };
    const first = await stage.send(request);
    const again = await stage.send(request);
    expect([again.status, again.body]).toEqual([202, first.body]);
    expect(again.headers["idempotent-replayed"]).toBe("true");
    const other = await stage.send({ ...request, body: { messages: messages.slice(1) } });
    expect([other.status, (other.json() as { error: { code: string } }).error.code]).toEqual([
      422,
      "idempotency_key_reused",
    ]);
    await stage.ended((first.json() as { jobId: string }).jobId);
    expect(await stage.asked(text)).toHaveLength(3);
  });

  test("refused numbers are failed at once, with Twilio's reason, and named", async () => {
    const { messages, text } = messagesTo(
      "+15551230001",
      "+15005550001",
      "+15005550004",
      "+15005550608",
    );
    const jobId = await stage.submit(messages);
    const view = await stage.ended(jobId);
    expect(view).toMatchObject({ status: "COMPLETED", total: 4, processed: 4, failed: 3 });
    expect(view.failedNumbers?.toSorted()).toEqual([
      "+15005550001",
      "+15005550004",
      "+15005550608",
    ]);
    expect(await stage.asked(text)).toHaveLength(4);
    const failed = await stage.send({ path: `/bulk-messages/${jobId}/items?status=failed` });
    expect(failed.json()).toMatchObject({
      hasMore: false,
      data: [
        { index: 1, attempts: 1, sid: null, error: { code: "twilio_invalid_number" } },
        { index: 2, attempts: 1, error: { code: "twilio_opted_out" } },
        { index: 3, attempts: 1, error: { code: "twilio_unverified_number" } },
      ],
    });
  });

  test("a job of which nothing could be sent has failed", async () => {
    const { messages } = messagesTo("+15005550001", "+15005550004");
    const view = await stage.ended(await stage.submit(messages));
    expect(view).toMatchObject({ status: "FAILED", processed: 2, failed: 2 });
  });

  test("what the carrier filters counts as failed, once, though it was sent", async () => {
    const { messages } = messagesTo("+15551230001", "+15005550307");
    const jobId = await stage.whileTwilio({ callbacks: { copies: 2 } }, async () => {
      const id = await stage.submit(messages);
      await stage.ended(id);
      await eventually("the report", async () => (await stage.status(id)).failed === 1);
      return id;
    });
    expect(await stage.status(jobId)).toMatchObject({
      status: "COMPLETED",
      processed: 2,
      failed: 1,
      failedNumbers: ["+15005550307"],
    });
    const events = await stage.rows(
      "select data from forge_events where type = 'message.undelivered' and data like $1",
      [`%${jobId}%`],
    );
    expect(events.map(({ data }) => JSON.parse(String(data)) as unknown)).toMatchObject([
      { tenant: "ten_apiforge", to: "+15005550307", code: "twilio_carrier_filtered" },
    ]);
  });

  test("items come in pages and results as lines, with the SIDs", async () => {
    const { messages } = messagesTo(...numbers(5));
    const jobId = await stage.submit(messages);
    await stage.ended(jobId);
    const first = await stage.send({ path: `/bulk-messages/${jobId}/items?limit=3` });
    const page = first.json() as { data: { index: number }[]; nextCursor: string };
    expect(page.data.map(({ index }) => index)).toEqual([0, 1, 2]);
    const rest = await stage.send({
      path: `/bulk-messages/${jobId}/items?limit=3&cursor=${encodeURIComponent(page.nextCursor)}`,
    });
    expect(rest.json()).toMatchObject({ data: [{ index: 3 }, { index: 4 }], hasMore: false });
    const results = await stage.send({ path: `/bulk-messages/${jobId}/results` });
    expect(results.headers["content-type"]).toMatch(/^application\/x-ndjson/);
    const lines = results.body.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
      messages.map(({ to }, index) => ({
        index,
        to,
        status: "succeeded",
        attempts: 1,
        sid: expect.stringMatching(/^SM[0-9a-f]{32}$/),
        error: null,
      })),
    );
  });

  test("events tell the progress until the end", async () => {
    const { messages } = messagesTo(...numbers(3));
    const jobId = await stage.submit(messages);
    const events = await stage.send({ path: `/bulk-messages/${jobId}/events` });
    expect(events.headers["content-type"]).toMatch(/^text\/event-stream/);
    const last = events.body.trimEnd().split("\n\n").at(-1) ?? "";
    expect(last).toMatch(/^event: completed\n/);
    expect(JSON.parse(last.slice(last.indexOf("data: ") + 6))).toMatchObject({
      jobId,
      status: "COMPLETED",
      total: 3,
      processed: 3,
    });
  });

  test.for(["sam", "stranger"] as const)("another user's job is Forbidden to %s", async (as) => {
    const jobId = await stage.submit(messagesTo("+15551230001").messages);
    const paths = ["status", "items", "results", "events", "cancel"].map(
      (what) => `/bulk-messages/${jobId}/${what}`,
    );
    for (const path of paths) {
      const method = path.endsWith("cancel") ? "POST" : "GET";
      const answer = await stage.send({ method, path, as });
      expect([path, answer.status]).toEqual([path, 403]);
      expect(answer.json()).toMatchObject({
        error: { type: "permission_error", code: "forbidden", message: "Forbidden" },
      });
    }
  });

  test("a cancelled job sends nothing further, and says what was done", async () => {
    await stage.whileTwilio({ fault: { kind: "slow", delayMs: 400 } }, async () => {
      const { messages, text } = messagesTo(...numbers(2_000));
      const jobId = await stage.submit(messages);
      await eventually("the first messages", async () => (await stage.asked(text)).length > 0);
      const cancel = { method: "POST", path: `/bulk-messages/${jobId}/cancel` };
      const cancelled = await stage.send(cancel);
      expect(cancelled.json()).toMatchObject({ jobId, status: "CANCELED", total: 2_000 });
      const view = await stage.ended(jobId);
      expect(view.status).toBe("CANCELED");
      expect(view.processed).toBeLessThan(2_000);
      const rest = await stage.send({ path: `/bulk-messages/${jobId}/items?status=cancelled` });
      expect((rest.json() as { data: unknown[] }).data.length).toBeGreaterThan(0);
      const again = await stage.send(cancel);
      expect(again.status).toBe(200);
      expect(again.json()).toMatchObject({ status: "CANCELED" });
    });
  });
});
