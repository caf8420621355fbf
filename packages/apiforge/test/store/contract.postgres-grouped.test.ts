import { storeContract } from "@apiforge/testing/contracts";
import { checkIdempotencyModel, checkJobsModel } from "@apiforge/testing/models";
import { describe, test } from "vitest";
import { postgresGrouped } from "./postgres-fixture.ts";

storeContract(postgresGrouped);

describe("in groups", () => {
  test("jobs do what the model does", () => checkJobsModel(postgresGrouped, 40), 120_000);

  test("idempotency keys do what the model does", async () => {
    await checkIdempotencyModel(postgresGrouped, 40);
  }, 120_000);
});
