import { until } from "@apiforge/testing";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createClient, type ApiError, type JobStatus } from "../src/index.ts";
import { startBulkServer, type BulkServer } from "./bulk-server.ts";
import { timeoutMs, WaitingClock } from "./waiting-clock.ts";

let server: BulkServer;
let clock: WaitingClock;

beforeEach(async () => {
  server = await startBulkServer();
  clock = new WaitingClock();
  await client().request("POST", "/bulk-messages", { body: { messages: [1, 2, 3, 4] } });
});
afterEach(() => server[Symbol.asyncDispose]());

function client() {
  return createClient({ baseUrl: server.url, clock, random: () => 0, timeoutMs });
}

/** Watches the job in the background and keeps what it hears. */
function watch(signal?: AbortSignal) {
  const statuses: string[] = [];
  const troubles: ApiError[] = [];
  const options = { onTrouble: (error: ApiError) => void troubles.push(error) };
  async function run(): Promise<void> {
    const watched = client().watch<JobStatus & { jobId: string }>("/bulk-messages/1/status", {
      ...options,
      ...(signal === undefined ? {} : { signal }),
    });
    for await (const { status, processed } of watched) statuses.push(`${status} ${processed}`);
  }
  return { statuses, troubles, ended: run() };
}

test("with events it asks at the beginning and at the end, and hears every change between", async () => {
  const { statuses, troubles, ended } = watch();
  await until("it listens", () => server.listeners() === 1);
  server.change(server.jobs[0], { status: "IN_PROGRESS", processed: 2 });
  await until("the change", () => statuses.length === 2);
  server.change(server.jobs[0], { status: "COMPLETED", processed: 4 });
  await ended;
  expect(statuses).toEqual(["QUEUED 0", "IN_PROGRESS 2", "COMPLETED 4"]);
  expect(troubles).toEqual([]);
  expect(server.received.filter((line) => line.endsWith("/status"))).toHaveLength(2);
  await until("it has hung up", () => server.listeners() === 0);
  expect(clock.pending).toBe(0);
});

test("a restart of the server in between loses nothing", async () => {
  const { statuses, ended } = watch();
  await until("it listens", () => server.listeners() === 1);
  server.dropListeners();
  await until("the connection is gone", () => server.listeners() === 0);
  server.change(server.jobs[0], { status: "COMPLETED", processed: 4 });
  await clock.pass(1);
  await ended;
  expect(statuses).toEqual(["QUEUED 0", "COMPLETED 4"]);
});

test("without events it asks less and less often, and often again after a change", async () => {
  server.hasEvents = false;
  const { statuses, troubles, ended } = watch();
  for (const wait of [1, 2, 3, 4]) await clock.pass(wait);
  await until("the next wait", () => clock.waits.length === 5);
  server.change(server.jobs[0], { status: "IN_PROGRESS", processed: 1 });
  await clock.pass(5);
  await until("the wait after the change", () => clock.waits.length === 6);
  server.change(server.jobs[0], { status: "FAILED" });
  await clock.pass(6);
  await ended;
  expect(clock.waits).toEqual([500, 750, 1_125, 1_688, 2_532, 500]);
  expect(statuses).toEqual(["QUEUED 0", "IN_PROGRESS 1", "FAILED 1"]);
  expect(troubles).toEqual([]);
  expect(clock.pending).toBe(0);
});

test("it outlives a server that is away, and tells of the trouble", async () => {
  server.isUp = false;
  const { statuses, troubles, ended } = watch();
  // The attempts of two calls with the wait between them.
  for (let wait = 1; wait <= 7; wait += 1) await clock.pass(wait);
  await until("the third call's wait", () => clock.waits.length === 8);
  expect(troubles.map(({ code }) => code)).toEqual(["connection_failed", "connection_failed"]);
  server.isUp = true;
  server.change(server.jobs[0], { status: "COMPLETED", processed: 4 });
  await clock.pass(8);
  await ended;
  expect(statuses).toEqual(["COMPLETED 4"]);
});

test("it ends when the server refuses to tell", async () => {
  const unknown = client().watch("/bulk-messages/9/status");
  await expect(unknown.next()).rejects.toMatchObject({ code: "not_found", status: 404 });
  expect(server.received.filter((line) => line.includes("/9/"))).toHaveLength(1);
});

test("aborting it ends it and closes the connection", async () => {
  const controller = new AbortController();
  const { ended } = watch(controller.signal);
  await until("it listens", () => server.listeners() === 1);
  const reason = new Error("unmounted");
  const outcome = ended.catch((error: unknown) => error);
  controller.abort(reason);
  expect(await outcome).toBe(reason);
  await until("it has hung up", () => server.listeners() === 0);
  expect(clock.pending).toBe(0);
});
