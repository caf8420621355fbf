import { describe, expect, test } from "vitest";

import { storeFixtures } from "../store/fixtures.ts";
import { allItems, batchOf, messages, someMessages, submit } from "./batch-fixtures.ts";
import { Harness } from "./harness.ts";

describe.for(storeFixtures)("batches on $name", (fixture) => {
  test("every item runs once and its result is kept", async () => {
    await using harness = await Harness.open(fixture);
    const definition = messages();
    const { durable } = await harness.started({ batches: [definition] });
    const id = await submit(durable, definition, someMessages(95));
    await harness.idle();
    expect(await batchOf(durable, id)).toMatchObject({
      state: "completed",
      total: 95,
      succeeded: 95,
      failed: 0,
      cancelled: 0,
      owner: "usr_1",
    });
    const items = await allItems(durable, id);
    expect(items.map(({ index }) => index)).toEqual([...Array(95).keys()]);
    expect(items[94]).toEqual({
      index: 94,
      item: { to: "to94", body: "hello" },
      status: "succeeded",
      attempts: 1,
      result: { sent: "to94" },
      error: null,
    });
  });
});
