import { afterEach, expect, test } from "vitest";

import { startHarness, type Harness } from "../edge-harness.ts";
import { thingRoutes } from "../thing-routes.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function timingOf(serverTiming: boolean, authorization?: string): Promise<unknown> {
  let nowMs = 0;
  harness ??= await startHarness(thingRoutes, { serverTiming, stopwatch: () => (nowMs += 1) });
  const headers = { authorization: authorization ?? (await harness.bearer()) };
  return (await harness.edge.inject({ url: "/things", headers })).headers["server-timing"];
}

test("an answer to a known caller says how long each place took, by its name alone", async () => {
  expect(String(await timingOf(true)).split(", ")).toEqual([
    ...["guard", "correlate", "authenticate", "validate"].map(
      (place) => expect.stringMatching(new RegExp(`^${place};dur=[1-9][0-9]*\\.000$`)) as string,
    ),
    expect.stringMatching(/^backend;dur=/),
  ]);
});

test("an anonymous caller is told nothing, and nobody where it is off", async () => {
  expect(await timingOf(true, "Bearer nobody")).toBeUndefined();
  await harness?.stop();
  harness = undefined;
  expect(await timingOf(false)).toBeUndefined();
});
