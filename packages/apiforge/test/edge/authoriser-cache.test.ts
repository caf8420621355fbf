import { expect, test } from "vitest";

import { AuthoriserCache } from "../../src/edge/auth/authoriser-cache.ts";

test("it holds no more than its bound, and keeps what is used", () => {
  const cache = new AuthoriserCache<string>(10);
  cache.set("kept", "kept");
  for (let index = 0; index < 100; index++) {
    cache.set(`token-${index}`, `subject-${index}`);
    expect(cache.get("kept")).toBe("kept");
    expect(cache.get(`token-${index}`)).toBe(`subject-${index}`);
    // Ten newer entries came since.
    expect(cache.get(`token-${index - 10}`)).toBeUndefined();
  }
});
