import { checkIdempotencyModel } from "@apiforge/testing/models";
import { describe, test } from "vitest";
import { storeFixtures } from "../store/fixtures.ts";

describe.for(storeFixtures)("$name", (fixture) => {
  test("does with idempotency keys what the model does", async () => {
    await checkIdempotencyModel(fixture, 40);
  }, 120_000);
});
