import { expect, test } from "vitest";
import { nonRetriable, retryAfter } from "../../src/resilience/index.ts";

test("nonRetriable ends a job at once and keeps its cause", () => {
  const cause = new Error("no such account");
  const error = nonRetriable("The account is closed", { cause });
  expect(error).toMatchObject({ code: "job_not_retriable", retryable: false, cause });
  expect(error.message).toBe("The account is closed");
});

test("retryAfter asks for another attempt after its delay, in whole seconds", () => {
  expect(retryAfter("2m", "The report is not ready")).toMatchObject({
    code: "job_retry_later",
    retryable: true,
    retryAfterSeconds: 120,
  });
  expect(retryAfter("250ms", "Not yet").retryAfterSeconds).toBe(1);
  expect(() => retryAfter(-1, "Not yet")).toThrow(RangeError);
});
