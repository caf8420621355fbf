import {
  createDeployment,
  createHttpClient,
  eventually,
  findBrokenPromises,
  findUnfinishedJobs,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { describe, expect, test } from "vitest";

import { limitedDiskKinds } from "./full-disk.ts";
import { hasNoLiveJob } from "./live-jobs.ts";
import { ProjectWriter } from "./project-writer.ts";

describe.for(limitedDiskKinds())("SQLite on $name", (kind) => {
  test("answers 503 and lives, loses nothing that it acknowledged, and goes on when there is room", async () => {
    await using disk = kind.make();
    await using deployment = await createDeployment({
      store: "sqlite",
      postgresUrl: postgresUrl(),
      dataDir: disk.folder,
    });
    const token = await deployment.token({ sub: "usr_crash" });
    const server = await deployment.start(disk.start);
    await using client = createHttpClient(server.url);
    await using writer = new ProjectWriter(token, () => server.url);
    for (let index = 0; index < 20; index += 1) await writer.sendUntilAcknowledged();

    disk.fill(server);
    // What room the log's file still has may be used up first.
    await eventually("a write is refused", async () => !(await writer.send()));
    for (let index = 0; index < 20; index += 1) await writer.send();
    expect([...writer.refusals.keys()]).toEqual([503]);
    const refused = await client.request({
      method: "POST",
      path: "/api/projects",
      token,
      body: { name: "No room" },
    });
    expect(refused).toMatchObject({ status: 503 });
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    expect(refused.json()).toMatchObject({
      error: { type: "api_error", code: "store_unavailable" },
    });
    expect(await client.request({ path: "/health/live" })).toMatchObject({ status: 200 });
    // The one page of a check may still fit where a project does not; each that fits leaves less.
    await eventually("it is not ready", async () => {
      const { status } = await client.request({ path: "/health/ready" });
      return status === 503;
    });
    // What is there can still be read.
    expect(await client.request({ path: "/api/projects", token })).toMatchObject({ status: 200 });

    disk.free(server);
    await writer.retryUnanswered();
    for (let index = 0; index < 20; index += 1) await writer.sendUntilAcknowledged();
    expect(await client.request({ path: "/health/ready" })).toMatchObject({ status: 200 });
    await eventually("every job has ended", () => hasNoLiveJob(deployment));
    await writer.replayAll();
    await server.stop();
    const { acknowledged } = writer;
    await deployment.inspect(async (raw) => {
      expect(await findBrokenPromises(raw, { acknowledged, denseLog: true })).toEqual([]);
      expect(await findUnfinishedJobs(raw)).toEqual([]);
    });
  }, 60_000);

  test("killed while it is full: starts again when there is room, with everything acknowledged", async () => {
    await using disk = kind.make();
    await using deployment = await createDeployment({
      store: "sqlite",
      postgresUrl: postgresUrl(),
      dataDir: disk.folder,
    });
    const token = await deployment.token({ sub: "usr_crash" });
    const server = await deployment.start(disk.start);
    let url = server.url;
    await using writer = new ProjectWriter(token, () => url);
    for (let index = 0; index < 20; index += 1) await writer.sendUntilAcknowledged();
    disk.fill(server);
    await eventually("a write is refused", async () => !(await writer.send()));
    await server.kill9();
    disk.free(server);

    const next = await deployment.start(disk.start);
    url = next.url;
    await writer.retryUnanswered();
    await eventually("every job has ended", () => hasNoLiveJob(deployment));
    await writer.replayAll();
    await next.stop();
    const { acknowledged } = writer;
    await deployment.inspect(async (raw) => {
      expect(await findBrokenPromises(raw, { acknowledged, denseLog: true })).toEqual([]);
      expect(await findUnfinishedJobs(raw)).toEqual([]);
    });
  }, 60_000);
});
