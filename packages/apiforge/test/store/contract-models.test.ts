import { checkJobsModel } from "@apiforge/testing/models";
import { describe, test } from "vitest";
import { storeFixtures } from "./fixtures.ts";

describe.for(storeFixtures)("$name", (fixture) => {
  test("does with jobs what the model does", () => checkJobsModel(fixture, 80), 120_000);
});
