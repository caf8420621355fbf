import { expect, test } from "vitest";

import { PrincipalCache } from "../../src/edge/auth/principal-cache.ts";
import { ManualClock } from "./edge-harness.ts";

function verified(subject: string, expiresAt = Number.POSITIVE_INFINITY) {
  return { principal: { subject, tenant: "t", role: "r", scopes: [] }, expiresAt };
}

test("it holds no more than its bound, and keeps what is used", () => {
  const cache = new PrincipalCache(new ManualClock(), 1_000, 10);
  cache.set("kept", verified("kept"));
  for (let index = 0; index < 100; index++) {
    cache.set(`token-${index}`, verified(`token-${index}`));
    expect(cache.get("kept")?.subject).toBe("kept");
    expect(cache.get(`token-${index}`)?.subject).toBe(`token-${index}`);
    // Ten newer entries came since.
    expect(cache.get(`token-${index - 10}`)).toBeUndefined();
  }
});

test("an entry that has ended is gone, also from the older half", () => {
  const clock = new ManualClock();
  const cache = new PrincipalCache(clock, 1_000, 4);
  cache.set("a", verified("a", clock.now() + 500));
  cache.set("b", verified("b"));
  cache.set("c", verified("c"));
  clock.advance(500);
  expect(cache.get("a")).toBeUndefined();
  expect(cache.get("c")?.subject).toBe("c");
  clock.advance(500);
  expect(cache.get("c")).toBeUndefined();
});
