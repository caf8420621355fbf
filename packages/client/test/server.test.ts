import { createDeployment, freePort, until } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import type { ProjectRoutes } from "@apiforge/example-projects";
import { createForge, defineRoute, type Forge } from "apiforge";
import { openDevIssuer } from "apiforge/internal/app";
import { silentLog } from "apiforge/internal/kernel";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";

import { createClient, type ClientOptions } from "../src/index.ts";
import { startCuttingProxy } from "./cutting-proxy.ts";
import { timeoutMs, WaitingClock } from "./waiting-clock.ts";

// Against the real server, without anything in its place.

const countRows = `select
  (select count(*) from projects) as projects,
  (select count(*) from forge_idempotency) as answers,
  (select count(*) from forge_events) as events`;

async function deploy() {
  const deployment = await createDeployment({ store: "sqlite", postgresUrl: postgresUrl() });
  onTestFinished(() => deployment[Symbol.asyncDispose]());
  const token = await deployment.token({ sub: "usr_client" });
  const client = (baseUrl: string, options: ClientOptions = {}) =>
    createClient<ProjectRoutes>({ baseUrl, token, ...options });
  const rows = () => deployment.inspect(async (raw) => (await raw.all(countRows))[0]);
  return { deployment, client, rows };
}

test("a write whose answers are cut off takes effect once", async () => {
  const { deployment, client, rows } = await deploy();
  await using server = await deployment.start();
  await using proxy = await startCuttingProxy(server.url, 2);
  const clock = new WaitingClock();
  const call = client(proxy.url, { clock, timeoutMs }).request("POST", "/api/projects", {
    body: { name: "Once" },
  });
  await clock.pass(1);
  await clock.pass(2);
  const answer = await call;
  expect(answer).toMatchObject({ status: 201, isReplay: true });
  expect(proxy.cuts()).toBe(2);
  expect(await rows()).toEqual({ projects: 1, answers: 1, events: 1 });
});

test("a write in whose middle the server is killed takes effect once, after its restart", async () => {
  const { deployment, client, rows } = await deploy();
  const env = { PORT: String(await freePort()) };
  // Nothing but the request commits.
  const quiet = { ...env, APIFORGE_JOB_CONCURRENCY: "0" };
  const first = await deployment.start({ env: quiet, pauseAt: { point: "after-commit" } });
  const clock = new WaitingClock();
  const call = client(first.url, { clock, timeoutMs }).request("POST", "/api/projects", {
    body: { name: "Once" },
  });
  await first.waitForPause();
  await first.kill9();
  await until("the client has noticed", () => clock.waits.length === 1);
  await deployment.start({ env });
  await clock.pass(1);
  expect(await call).toMatchObject({ status: 201, isReplay: true });
  expect(await rows()).toEqual({ projects: 1, answers: 1, events: 1 });
});

test("a list goes over every page of the server's, in its order", async () => {
  const { deployment, client } = await deploy();
  await using server = await deployment.start();
  const api = client(server.url);
  const names = Array.from({ length: 25 }, (_, index) => `Project ${index}`);
  for (const name of names) await api.post("/api/projects", { body: { name } });
  const options = { query: { limit: 10, status: "active" } };
  const listed = await Array.fromAsync(api.list("/api/projects", options), ({ name }) => name);
  expect(listed).toEqual(names.toReversed());
});

test("a refusal carries the envelope's facts and the request's id", async () => {
  const { deployment, client } = await deploy();
  await using server = await deployment.start();
  const refused = client(server.url).post("/api/projects/:id/members", {
    params: { id: "proj_none" },
    body: { email: "nobody" },
  });
  await expect(refused).rejects.toMatchObject({
    name: "ApiError",
    type: "invalid_request_error",
    code: "validation_failed",
    status: 400,
    param: "body.email",
    requestId: expect.stringMatching(/^req_/),
    isRefusal: true,
  });
});

describe("a route that takes its time", () => {
  const slow = Promise.withResolvers<void>();
  let runs = 0;
  const slowRoute = defineRoute({
    method: "POST",
    path: "/slow",
    replies: { 200: z.object({ run: z.number() }) },
    handler: async () => {
      runs += 1;
      await slow.promise;
      return { status: 200, body: { run: runs } };
    },
  });

  async function serve(): Promise<{ forge: Forge; url: string; token: string }> {
    const dataDir = mkdtempSync(join(tmpdir(), "apiforge-client-"));
    const config = { port: 0, dataDir };
    const forge = await createForge({ routes: [slowRoute] }, { config, log: silentLog });
    onTestFinished(async () => {
      await forge.stop();
      rmSync(dataDir, { recursive: true });
    });
    const issuer = await openDevIssuer(forge.config, silentLog);
    const token = await issuer.sign({ subject: "usr_1", tenant: "ten_1", role: "member" });
    return { forge, token, ...(await forge.listen()) };
  }

  test("is waited for under one key, as long as Retry-After says, and runs once", async () => {
    const { url, token } = await serve();
    const clock = new WaitingClock();
    const options = { baseUrl: url, token, clock, timeoutMs, random: () => 0.9 };
    const api = createClient<readonly [typeof slowRoute]>(options);
    const first = api.post("/slow", { idempotencyKey: "k1" });
    await until("the first is running", () => runs === 1);
    const second = api.post("/slow", { idempotencyKey: "k1" });
    await until("the second waits", () => clock.waits.length === 1);
    // 409 idempotency_in_progress asks for a second; the jitter comes after it.
    expect(clock.waits).toEqual([1_025]);
    slow.resolve();
    expect(await first).toEqual({ run: 1 });
    await clock.pass(1);
    expect(await second).toEqual({ run: 1 });
    expect(runs).toBe(1);
  });
});
