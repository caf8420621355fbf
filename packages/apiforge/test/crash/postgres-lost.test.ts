import {
  createDeployment,
  createHttpClient,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
  openRaw,
  startHalfOpenProxy,
  startPostgres,
  type Deployment,
  type HttpClient,
  type HttpResponse,
  type PostgresServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { hasNoLiveJob } from "./live-jobs.ts";
import { startLoad } from "./load.ts";
import { ProjectWriter } from "./project-writer.ts";

// The contract: with the database away, an answer within 2 s that says when to come again.
const refusalDeadlineMs = 2_000;
const clients = 8;

describe("PostgreSQL itself", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    // With fsync, as in production.
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  test("killed with -9 under load and started again: the server recovers alone and nothing is lost", async () => {
    await using deployment = await createDeployment({
      store: "postgres",
      postgresUrl: postgres.url,
    });
    const token = await deployment.token({ sub: "usr_crash" });
    const server = await deployment.start();
    await using client = createHttpClient(server.url);
    await using writer = new ProjectWriter(token, () => server.url);
    const load = startLoad(writer, clients);
    await eventually("the load runs", () => writer.acknowledged.length > 50);

    await postgres.kill9();
    await checkUnavailable(client, token);
    await postgres.startServer();

    const before = writer.acknowledged.length;
    await eventually("requests are served again", () => writer.acknowledged.length > before + 50);
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    await load.stop();
    await finish(deployment, writer);
    await server.stop();
    await checkPromisesKept(deployment, writer);
    expect([...writer.refusals.keys()]).toEqual([503]);
  }, 60_000);

  test("stopped: 503 within 2 s, alive but not ready, and back alone", async () => {
    await using deployment = await createDeployment({
      store: "postgres",
      postgresUrl: postgres.url,
    });
    const token = await deployment.token({ sub: "usr_crash" });
    const server = await deployment.start();
    await using client = createHttpClient(server.url);
    await using writer = new ProjectWriter(token, () => server.url);
    await writer.sendUntilAcknowledged();

    await postgres.stopServer();
    await checkUnavailable(client, token);
    await checkUnavailable(client, token);
    await postgres.startServer();

    await writer.sendUntilAcknowledged();
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    await finish(deployment, writer);
    await server.stop();
    await checkPromisesKept(deployment, writer);
  }, 60_000);
});

test("a network that swallows everything: 503 within 2 s, alive but not ready, and back alone", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
  });
  await using proxy = await startHalfOpenProxy(deployment.database);
  const token = await deployment.token({ sub: "usr_crash" });
  const server = await deployment.start({ env: { DATABASE_URL: proxy.url } });
  await using client = createHttpClient(server.url);
  await using writer = new ProjectWriter(token, () => server.url);
  const load = startLoad(writer, clients);
  await eventually("the load runs", () => writer.acknowledged.length > 50);

  proxy.blackhole();
  await checkUnavailable(client, token);
  await checkUnavailable(client, token);
  proxy.resume();

  const before = writer.acknowledged.length;
  await eventually("requests are served again", () => writer.acknowledged.length > before + 50);
  expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
  await load.stop();
  await finish(deployment, writer);
  await server.stop();
  await checkPromisesKept(deployment, writer);
}, 60_000);

test("backends terminated under load: no answer is lost and none is a 500", async () => {
  await using deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
  });
  const token = await deployment.token({ sub: "usr_crash" });
  const server = await deployment.start();
  await using writer = new ProjectWriter(token, () => server.url);
  const load = startLoad(writer, clients);

  for (let round = 1; round <= 10; round += 1) {
    const before = writer.acknowledged.length;
    await eventually("the load runs", () => writer.acknowledged.length > before + 20);
    expect(await terminateBackends(deployment)).toBeGreaterThan(0);
  }
  await load.stop();
  await finish(deployment, writer);
  await server.stop();
  await checkPromisesKept(deployment, writer);
  expect([...writer.refusals.keys()].filter((status) => status !== 503)).toEqual([]);
}, 60_000);

async function checkUnavailable(client: HttpClient, token: string): Promise<void> {
  const requests = [
    { path: "/api/projects", token },
    { method: "POST", path: "/api/projects", token, body: { name: "Nobody's" } },
  ];
  for (const request of requests) {
    const answer = await withinRefusalDeadline(client, request);
    expect(answer.status, answer.body).toBe(503);
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    expect(answer.json()).toMatchObject({
      error: { type: "api_error", requestId: answer.headers["x-request-id"] },
    });
  }
  const ready = await client.request({ path: "/health/ready" });
  expect(ready).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
  expect(await client.request({ path: "/health/live" })).toMatchObject({ status: 200 });
}

function withinRefusalDeadline(
  client: HttpClient,
  request: Parameters<HttpClient["request"]>[0],
): Promise<HttpResponse> {
  return client.request({ ...request, signal: AbortSignal.timeout(refusalDeadlineMs) });
}

async function terminateBackends(deployment: Deployment): Promise<number> {
  await using raw = await openRaw(deployment.database);
  const rows = await raw.all(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  return rows.length;
}

async function finish(deployment: Deployment, writer: ProjectWriter): Promise<void> {
  await writer.retryUnanswered();
  await eventually("every job has ended", () => hasNoLiveJob(deployment), 30_000);
  await writer.replayAll();
}

async function checkPromisesKept(deployment: Deployment, writer: ProjectWriter): Promise<void> {
  const { acknowledged } = writer;
  await deployment.inspect(async (raw) => {
    expect(await findBrokenPromises(raw, { acknowledged, denseLog: false })).toEqual([]);
    expect(await findUnfinishedJobs(raw)).toEqual([]);
  });
}
