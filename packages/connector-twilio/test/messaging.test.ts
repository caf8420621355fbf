import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { startSandbox } from "@apiforge/sandbox";
import { ApiForgeError, type Clock } from "apiforge/resilience";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  createTwilioMessaging,
  deliveryError,
  mayHaveBeenSent,
  twilioConnector,
  type TextMessage,
  type TwilioOptions,
} from "../src/index.ts";

const accountSid = `AC${"0".repeat(32)}`;
// The sandbox's token, so that a leak of it can be found in what it must not be in.
const authToken = "0".repeat(32);
const hello: TextMessage = { to: "+15551230001", from: "+15005550006", body: "Hello" };

/** An account of a real sandbox, which is stopped when the test ends. */
async function twilioForTest(options: Partial<TwilioOptions> = {}) {
  const sandbox = await startSandbox();
  onTestFinished(() => sandbox.stop());
  async function control(resource: string, body: object): Promise<void> {
    const url = `${sandbox.url}/_sandbox/twilio/${resource}`;
    const answer = await fetch(url, { method: "PUT", body: JSON.stringify(body) });
    expect(answer.status).toBe(200);
  }
  await control("callbacks", { delayMs: 0 });
  return {
    url: sandbox.url,
    twilio: createTwilioMessaging({
      accountSid,
      authToken,
      baseUrl: sandbox.url,
      timeoutMs: 20_000,
      ...options,
    }),
    control,
    setFault: (fault: object) => control("fault", fault),
    async requests(): Promise<readonly Record<string, unknown>[]> {
      const answer = await fetch(`${sandbox.url}/_sandbox/twilio/messages`);
      return ((await answer.json()) as { messages: Record<string, unknown>[] }).messages;
    },
  };
}

/** The error of a call that must fail, after checking that nothing of it shows token or number. */
async function failureOf(promise: Promise<unknown>): Promise<ApiForgeError> {
  const error = await promise.then(
    () => expect.unreachable("the message should not have been taken"),
    (failure: unknown) => failure,
  );
  const shown = inspect(error, { depth: null, showHidden: true }) + JSON.stringify(error);
  const credentials = Buffer.from(`${accountSid}:${authToken}`).toString("base64");
  for (const secret of [authToken, credentials, hello.to]) expect(shown).not.toContain(secret);
  return ApiForgeError.is(error) ? error : expect.unreachable(`not ours: ${inspect(error)}`);
}

describe("a message", () => {
  test("is sent by the official SDK, with what was given and nothing else", async () => {
    const { twilio, requests } = await twilioForTest();
    const message = {
      ...hello,
      body: "Häagen & <ok> = 1",
      statusCallback: "http://127.0.0.1:9/s?a=1",
    };
    expect(await twilio.sendMessage(message)).toEqual({
      sid: expect.stringMatching(/^SM[0-9a-f]{32}$/),
      status: "queued",
      to: message.to,
      from: message.from,
      body: message.body,
      segments: 1,
      price: undefined,
      errorCode: undefined,
      createdAt: expect.any(Number),
    });
    const [request] = await requests();
    expect(request).toMatchObject({
      status: 201,
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": expect.stringMatching(/^twilio-node\//),
      },
    });
    expect(request?.["form"]).toEqual({
      To: message.to,
      From: message.from,
      Body: message.body,
      StatusCallback: message.statusCallback,
    });
  });

  test("has its price once it is sent", async () => {
    const { twilio } = await twilioForTest();
    const { sid } = await twilio.sendMessage({ ...hello, body: "x".repeat(161) });
    await expect
      .poll(() => twilio.fetchMessage(sid))
      .toMatchObject({ status: "delivered", price: { micros: 16_600, currency: "USD" } });
  });

  test("that the carrier filtered shows why", async () => {
    const { twilio } = await twilioForTest();
    const { sid } = await twilio.sendMessage({ ...hello, to: "+15005550307" });
    await expect
      .poll(() => twilio.fetchMessage(sid))
      .toMatchObject({ status: "undelivered", errorCode: 30007 });
  });

  test("is found again by its recipient after its answer was lost", async () => {
    const { twilio, setFault } = await twilioForTest();
    await setFault({ kind: "lost", times: 1 });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(mayHaveBeenSent(error)).toBe(true);
    await twilio.sendMessage({ ...hello, to: "+15551230002" });
    const { to, from } = hello;
    expect(await twilio.findMessages({ to, from })).toMatchObject([{ to, from, body: "Hello" }]);
  });
});

describe("a refused message", () => {
  test.each([
    ["+15005550001", "twilio_invalid_number", /^Twilio answered 400 21211: .*E\.164/],
    ["+15005550009", "twilio_invalid_number", /^Twilio answered 400 21614: /],
    ["+15005550608", "twilio_unverified_number", /^Twilio answered 400 21608: .*verify it/],
    ["+15005550004", "twilio_opted_out", /^Twilio answered 400 21610: .*STOP/],
    ["+15005550003", "twilio_unreachable_number", /^Twilio answered 400 21408: /],
    ["+15005550002", "twilio_unreachable_number", /^Twilio answered 400 21612: /],
  ])("to %s is %s, not tried again and surely not sent", async (to, code, message) => {
    const { twilio, requests } = await twilioForTest();
    const error = await failureOf(twilio.sendMessage({ ...hello, to }));
    expect(error).toMatchObject({ code, retryable: false, type: "provider_error" });
    expect(error.message).toMatch(message);
    expect(mayHaveBeenSent(error)).toBe(false);
    expect(await requests()).toHaveLength(1);
  });

  test("by what has no meaning of its own carries Twilio's number", async () => {
    const { twilio } = await twilioForTest();
    const error = await failureOf(twilio.sendMessage({ ...hello, from: "+15005550007" }));
    expect(error).toMatchObject({ code: "provider_rejected", retryable: false });
    expect(error.message).toBe("Twilio answered 400 21606");
    expect(mayHaveBeenSent(error)).toBe(false);
  });

  test("by a wrong auth token says what to check", async () => {
    const { twilio } = await twilioForTest({ authToken: "wrong" });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "twilio_unauthorized", retryable: false });
    expect(error.message).toContain("TWILIO_AUTH_TOKEN");
  });
});

describe("a message that meets", () => {
  test("429 may be tried again after Retry-After, and was never processed", async () => {
    const { twilio, setFault, requests } = await twilioForTest();
    await setFault({ kind: "429", retryAfterSeconds: 17 });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({
      code: "provider_rate_limited",
      retryable: true,
      retryAfterSeconds: 17,
      message: "Twilio answered 429 20429",
    });
    expect(mayHaveBeenSent(error)).toBe(false);
    expect(await requests()).toHaveLength(1);
  });

  test("the sender's full queue waits like a 429", async () => {
    const { twilio, setFault } = await twilioForTest();
    await setFault({ kind: "21611" });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "provider_rate_limited", retryable: true });
    expect(mayHaveBeenSent(error)).toBe(false);
  });

  test.each(["500", "503"])("%s may be tried again, and the SDK has not done so", async (kind) => {
    const { twilio, setFault, requests } = await twilioForTest();
    await setFault({ kind });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "provider_error", retryable: true });
    expect(error.message).toBe(`Twilio answered ${kind} 20${kind}`);
    expect(mayHaveBeenSent(error)).toBe(true);
    expect(await requests()).toHaveLength(1);
  });

  test("a reset connection may be tried again, and may have been sent", async () => {
    const { twilio, setFault, requests } = await twilioForTest();
    await setFault({ kind: "dead" });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(mayHaveBeenSent(error)).toBe(true);
    expect(await requests()).toHaveLength(1);
  });

  test("nobody listening was surely not sent", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    const baseUrl = `http://127.0.0.1:${port}`;
    const error = await failureOf(
      createTwilioMessaging({ accountSid, authToken, baseUrl }).sendMessage(hello),
    );
    expect(error).toMatchObject({ code: "provider_unreachable", retryable: true });
    expect(mayHaveBeenSent(error)).toBe(false);
  });

  test("silence may be tried again once its time is up", async () => {
    const { twilio, setFault } = await twilioForTest({ timeoutMs: 50 });
    await setFault({ kind: "slow", delayMs: 600_000 });
    const error = await failureOf(twilio.sendMessage(hello));
    expect(error).toMatchObject({ code: "provider_timeout", retryable: true });
    expect(error.message).toBe("Twilio did not answer within 50 ms");
    expect(mayHaveBeenSent(error)).toBe(true);
  });

  test("silence takes its limit from the injected clock", async () => {
    const timers: { delayMs: number; callback: () => void }[] = [];
    const clock: Clock = {
      now: () => 0,
      after(delayMs, callback) {
        timers.push({ delayMs, callback });
        return { cancel() {} };
      },
    };
    const { twilio, setFault, requests } = await twilioForTest({ clock, timeoutMs: 10_000 });
    await setFault({ kind: "slow", delayMs: 600_000 });
    const sent = failureOf(twilio.sendMessage(hello));
    await expect.poll(requests).toHaveLength(1);
    expect(timers.map(({ delayMs }) => delayMs)).toEqual([10_000]);
    timers[0]?.callback();
    expect(await sent).toMatchObject({ code: "provider_timeout" });
  });

  test("its caller's signal ends, and may be tried again", async () => {
    const { twilio, setFault, requests } = await twilioForTest();
    await setFault({ kind: "slow", delayMs: 600_000 });
    const caller = new AbortController();
    const sent = failureOf(twilio.sendMessage(hello, { signal: caller.signal }));
    await expect.poll(requests).toHaveLength(1);
    caller.abort(new Error("lease lost"));
    expect(await sent).toMatchObject({ code: "provider_call_cancelled", retryable: true });
  });

  test.each([
    ["201 that is not JSON", 201, "<html>", "provider_answer_invalid", false],
    ["201 without a message", 201, "{}", "provider_answer_invalid", false],
    ["502 of a proxy", 502, "<html>Bad gateway</html>", "provider_error", true],
    [
      "RFC 9457 refusal",
      400,
      JSON.stringify({ type: "t", title: "x", status: 400, code: 21610 }),
      "twilio_opted_out",
      false,
    ],
  ])("a %s is told apart", async (_name, status, body, code, retryable) => {
    const server = createServer((_request, response) => response.writeHead(status).end(body));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const baseUrl = `http://127.0.0.1:${port}`;
    const error = await failureOf(
      createTwilioMessaging({ accountSid, authToken, baseUrl }).sendMessage(hello),
    );
    expect(error).toMatchObject({ code, retryable });
  });

  test("others at once keeps its own outcome", async () => {
    const { twilio } = await twilioForTest();
    const recipients = ["+15551230001", "+15005550004", "+15005550001", "+15551230002"];
    const outcomes = await Promise.allSettled(
      recipients.map((to) => twilio.sendMessage({ ...hello, to })),
    );
    const said = outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value.to : (outcome.reason as ApiForgeError).code,
    );
    expect(said).toEqual([
      "+15551230001",
      "twilio_opted_out",
      "twilio_invalid_number",
      "+15551230002",
    ]);
  });
});

describe("the account", () => {
  test("keeps its auth token out of whatever a log could print", async () => {
    const { twilio } = await twilioForTest({ authToken: "s3cr3t" });
    expect(inspect(twilio, { depth: null, showHidden: true })).not.toContain("s3cr3t");
    expect(JSON.stringify(twilio)).not.toContain("s3cr3t");
  });

  test.each([
    [{ accountSid: "SK123" }, "TWILIO_ACCOUNT_SID"],
    [{ accountSid: "" }, "TWILIO_ACCOUNT_SID"],
    [{ authToken: "" }, "TWILIO_AUTH_TOKEN"],
    [{ baseUrl: "ftp://api.twilio.com" }, "base URL"],
  ])("%j is refused", async (part, message) => {
    const error = await failureOf(
      (async () => createTwilioMessaging({ accountSid, authToken, ...part }))(),
    );
    expect(error).toMatchObject({ code: "provider_request_invalid", retryable: false });
    expect(error.message).toContain(message);
  });

  test("is declared: its token a secret, its messages not deduplicated", () => {
    expect(twilioConnector).toMatchObject({ name: "twilio", sdk: "twilio", deduplicates: false });
    const secrets = twilioConnector.settings.filter(({ secret }) => secret);
    expect(secrets.map(({ name }) => name)).toEqual(["TWILIO_AUTH_TOKEN"]);
  });
});

describe("a status callback's error", () => {
  test.each([
    [30007, "twilio_carrier_filtered", /\(30007\): the carrier filtered it/],
    [30003, "twilio_undelivered", /\(30003\)$/],
    [21610, "twilio_opted_out", /STOP/],
    [undefined, "twilio_undelivered", /could not deliver it$/],
  ])("%s is %s and not tried again", (errorCode, code, message) => {
    const error = deliveryError(errorCode);
    expect(error).toMatchObject({ code, retryable: false });
    expect(error.message).toMatch(message);
  });
});
