import { once } from "node:events";
import { createServer } from "node:net";
import { inspect } from "node:util";
import { startSandbox } from "@apiforge/sandbox";
import { ApiForgeError, type Clock } from "apiforge/resilience";
import { describe, expect, onTestFinished, test } from "vitest";
import { createSlackWebhook, slackConnector, type SlackMessage } from "../src/index.ts";

const token = "s3cr3tToken";
const hello: SlackMessage = { text: "Hello" };

/** A webhook of a real sandbox, which is stopped when the test ends. */
async function webhookForTest() {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.stop());
  const url = `${sandbox.url}/services/T0ACME/B0ALERTS/${token}`;
  return {
    url,
    webhook: createSlackWebhook({ url, timeoutMs: 20_000 }),
    async setFault(fault: { kind: string; retryAfterSeconds?: number; delayMs?: number }) {
      const body = JSON.stringify(fault);
      const answer = await fetch(`${sandbox.url}/_sandbox/slack/fault`, { method: "PUT", body });
      expect(answer.status).toBe(200);
    },
    async messages(): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${sandbox.url}/_sandbox/slack/messages`);
      const { messages } = (await answer.json()) as { messages: Record<string, unknown>[] };
      return messages;
    },
  };
}

/** The error of a call that must fail, after checking that nothing of it shows the token. */
async function failureOf(promise: Promise<unknown>): Promise<ApiForgeError> {
  const error = await promise.then(
    () => expect.unreachable("the message should not have been taken"),
    (failure: unknown) => failure,
  );
  expect(inspect(error, { depth: null, showHidden: true })).not.toContain(token);
  expect(JSON.stringify(error)).not.toContain(token);
  return ApiForgeError.is(error) ? error : expect.unreachable(`not ours: ${inspect(error)}`);
}

describe("a Slack message", () => {
  test("arrives with its text and blocks, sent by the official SDK", async () => {
    const { webhook, messages } = await webhookForTest();
    const message: SlackMessage = {
      text: "New project created by priya@apiforge.dev",
      blocks: [{ type: "section", text: { type: "mrkdwn", text: "*Gateway* was just created" } }],
    };
    await expect(webhook.send(message)).resolves.toBeUndefined();
    expect(await messages()).toMatchObject([
      {
        body: message,
        status: 200,
        posted: true,
        headers: {
          "content-type": "application/json",
          "user-agent": expect.stringContaining("@slack:webhook"),
        },
      },
    ]);
  });

  test("holds nothing but what was given: no option of the transport", async () => {
    const { webhook, messages } = await webhookForTest();
    await webhook.send(hello);
    expect(await messages()).toMatchObject([{ body: hello }]);
    expect(Object.keys((await messages())[0]?.["body"] ?? {})).toEqual(["text"]);
  });

  test.each([
    ["invalid_payload", 400],
    ["no_text", 400],
    ["invalid_blocks", 400],
    ["too_many_attachments", 400],
    ["user_not_found", 400],
    ["action_prohibited", 403],
    ["invalid_token", 403],
    ["posting_to_general_channel_denied", 403],
    ["team_disabled", 403],
    ["channel_not_found", 404],
    ["no_service", 404],
    ["no_team", 404],
    ["channel_is_archived", 410],
  ])(
    "refused with %s is not tried again, and the message says what to do",
    async (kind, status) => {
      const { webhook, setFault, messages } = await webhookForTest();
      await setFault({ kind });
      const error = await failureOf(webhook.send(hello));
      expect(error).toMatchObject({ code: "provider_rejected", retryable: false });
      expect(error.message).toMatch(new RegExp(`^Slack answered ${status} ${kind}: \\w+`));
      expect(await messages()).toHaveLength(1);
    },
  );

  test("without text or blocks is refused by Slack's own check", async () => {
    const { webhook } = await webhookForTest();
    const error = await failureOf(webhook.send({}));
    expect(error).toMatchObject({ code: "provider_rejected", retryable: false });
    expect(error.message).toBe("Slack answered 400 no_text: give the message a text or blocks");
  });

  test.each([
    ["500", "Slack answered 500 rollup_error"],
    ["503", "Slack answered 503 service_unavailable"],
  ])("met with a %s may be tried again, and the SDK has not done so", async (kind, message) => {
    const { webhook, setFault, messages } = await webhookForTest();
    await setFault({ kind });
    const error = await failureOf(webhook.send(hello));
    expect(error).toMatchObject({ code: "provider_error", retryable: true, message });
    expect(await messages()).toHaveLength(1);
  });

  test("met with a 429 may be tried again after what Slack's Retry-After says", async () => {
    const { webhook, setFault, messages } = await webhookForTest();
    await setFault({ kind: "429", retryAfterSeconds: 17 });
    const error = await failureOf(webhook.send(hello));
    expect(error).toMatchObject({
      code: "provider_rate_limited",
      retryable: true,
      retryAfterSeconds: 17,
    });
    expect(error.message).toBe("Slack answered 429");
    expect(await messages()).toHaveLength(1);
  });

  test("met with a reset connection may be tried again", async () => {
    const { webhook, setFault, messages } = await webhookForTest();
    await setFault({ kind: "dead" });
    const error = await failureOf(webhook.send(hello));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(error.message).toMatch(/^Slack could not be reached/);
    expect(await messages()).toHaveLength(1);
  });

  test("met with silence may be tried again once its time is up", async () => {
    const { url, setFault } = await webhookForTest();
    await setFault({ kind: "slow", delayMs: 600_000 });
    const webhook = createSlackWebhook({ url, timeoutMs: 50 });
    const error = await failureOf(webhook.send(hello));
    expect(error).toMatchObject({ code: "provider_timeout", retryable: true });
    expect(error.message).toBe("Slack did not answer within 50 ms");
  });

  test("takes its time limit from the injected clock", async () => {
    const { url, setFault, messages } = await webhookForTest();
    await setFault({ kind: "slow", delayMs: 600_000 });
    const timers: { delayMs: number; callback: () => void }[] = [];
    const clock: Clock = {
      now: () => 0,
      after(delayMs, callback) {
        timers.push({ delayMs, callback });
        return { cancel() {} };
      },
    };
    const sent = failureOf(createSlackWebhook({ url, clock }).send(hello));
    await expect.poll(messages).toHaveLength(1);
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([10_000]);
    timers[0]?.callback();
    expect(await sent).toMatchObject({ code: "provider_timeout" });
  });

  test("ends with its caller's signal, and may be tried again", async () => {
    const { webhook, setFault, messages } = await webhookForTest();
    await setFault({ kind: "slow", delayMs: 600_000 });
    const caller = new AbortController();
    const sent = failureOf(webhook.send(hello, { signal: caller.signal }));
    await expect.poll(messages).toHaveLength(1);
    caller.abort(new Error("lease lost"));
    expect(await sent).toMatchObject({ code: "provider_call_cancelled", retryable: true });
  });

  test("is sent again on the same webhook after a failure", async () => {
    const { webhook, setFault, messages } = await webhookForTest();
    await setFault({ kind: "503" });
    await failureOf(webhook.send(hello));
    await setFault({ kind: "none" });
    await webhook.send(hello);
    expect((await messages()).map(({ status }) => status)).toEqual([503, 200]);
  });

  test("keeps its own error when many are sent at once", async () => {
    const { url, webhook } = await webhookForTest();
    const wrong = createSlackWebhook({ url: url.replace("/B0ALERTS/", "/X0ALERTS/") });
    const outcomes = await Promise.allSettled([
      webhook.send(hello),
      webhook.send({}),
      wrong.send(hello),
      webhook.send({ text: "Again" }),
    ]);
    const said = outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? "ok" : (outcome.reason as Error).message.split(":")[0],
    );
    expect(said).toEqual([
      "ok",
      "Slack answered 400 no_text",
      "Slack answered 404 no_service",
      "ok",
    ]);
  });

  test("that cannot be written as JSON is refused here", async () => {
    const { webhook, messages } = await webhookForTest();
    const event_payload: Record<string, unknown> = {};
    event_payload["self"] = event_payload;
    const metadata = { event_type: "x", event_payload };
    const error = await failureOf(webhook.send({ text: "Hello", metadata }));
    expect(error).toMatchObject({ code: "provider_request_invalid", retryable: false });
    expect(await messages()).toEqual([]);
  });
});

describe("the webhook's URL", () => {
  test("is in no part of the webhook that a log could print", async () => {
    const { webhook } = await webhookForTest();
    expect(inspect(webhook, { depth: null, showHidden: true })).not.toContain(token);
    expect(JSON.stringify(webhook)).not.toContain(token);
  });

  test("is not repeated by an error when nothing listens there", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    server.close();
    await once(server, "close");
    const url = `http://127.0.0.1:${port}/services/T0/B0/${token}`;
    const error = await failureOf(createSlackWebhook({ url }).send(hello));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
  });

  test.each([`hooks.slack.com/services/${token}`, `ftp://hooks.slack.com/${token}`, token, ""])(
    "is refused without being quoted when it is %j",
    async (url) => {
      const error = await failureOf((async () => createSlackWebhook({ url }))());
      expect(error).toMatchObject({ code: "provider_request_invalid", retryable: false });
      expect(error.message).toContain("SLACK_WEBHOOK_URL");
    },
  );

  test("is declared a secret, and Slack's messages as not deduplicated", () => {
    expect(slackConnector).toMatchObject({
      name: "slack",
      sdk: "@slack/webhook",
      settings: [{ name: "SLACK_WEBHOOK_URL", secret: true }],
      deduplicates: false,
    });
  });
});
