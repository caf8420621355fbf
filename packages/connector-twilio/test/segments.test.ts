import { startSandbox } from "@apiforge/sandbox";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { countSegments, createTwilioMessaging } from "../src/index.ts";

let sandbox: Awaited<ReturnType<typeof startSandbox>>;
beforeAll(async () => {
  sandbox = await startSandbox();
});
afterAll(() => sandbox.stop());

test.each([
  ["", 1],
  ["x".repeat(160), 1],
  ["x".repeat(161), 2],
  ["x".repeat(306), 2],
  ["x".repeat(307), 3],
  ["€".repeat(80), 1],
  ["€".repeat(81), 2],
  ["€".repeat(153), 3],
  ["ж".repeat(70), 1],
  ["ж".repeat(71), 2],
  ["😀".repeat(35), 1],
  ["😀".repeat(67), 3],
  ["`", 1],
  [`${"x".repeat(70)}\``, 2],
])("%j has %d segments", (text, segments) => {
  expect(countSegments(text)).toBe(segments);
});

test("counts as the other side does, which shares no code with it", async () => {
  const twilio = createTwilioMessaging({
    accountSid: `AC${"0".repeat(32)}`,
    authToken: "0".repeat(32),
    baseUrl: sandbox.url,
  });
  const unit = fc.constantFrom("a", "€", "{", "é", "ж", "😀", "`", "\n");
  const body = fc.string({ unit, minLength: 1, maxLength: 800 });
  await fc.assert(
    fc.asyncProperty(body, async (text) => {
      const to = "+15551230001";
      const message = await twilio.sendMessage({ to, from: "+15005550006", body: text });
      expect(countSegments(text)).toBe(message.segments);
    }),
  );
});
