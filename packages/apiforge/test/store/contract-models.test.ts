import { checkJobsModel, checkUpstreamCallsModel } from "@apiforge/testing/models";
import { describe, test } from "vitest";
import { storeFixtures } from "./fixtures.ts";

describe.for(storeFixtures)("$name", (fixture) => {
  test("does with jobs what the model does", () => checkJobsModel(fixture, 80), 120_000);

  test("knows of calls of upstreams what the model knows", async () => {
    await checkUpstreamCallsModel(fixture, 150);
  }, 120_000);
});
