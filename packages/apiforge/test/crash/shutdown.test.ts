import {
  createHttpClient,
  eventually,
  startSandboxProcess,
  storeNames,
  type HttpClient,
  type HttpResponse,
  type ReadyServer,
  type SandboxProcess,
} from "@apiforge/testing";
import { afterAll, beforeAll, describe, test } from "vitest";

import { createHoldingDeployment, type HoldingDeployment } from "./holding-deployment.ts";

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

const patient = { APIFORGE_TRANSACTION_LIMIT_MS: "20000" };

describe.concurrent.for(storeNames)("SIGTERM, %s", (store) => {
  test("requests in flight are finished and answered, new connections refused, exit 0", async ({
    expect,
  }) => {
    await using deployment = await createHoldingDeployment(store, sandbox, patient);
    const server = await deployment.start();
    await using client = createHttpClient(server.url);
    const held = post(client, "/held-notes", "held");
    await server.waitForLine(/^holding$/);

    const stopped = server.stop();
    await eventually("new connections are refused", () => refusesConnections(server));
    deployment.letGo();
    const answer = await held;
    expect(answer).toMatchObject({ status: 201, headers: { connection: "close" } });
    await stopped;
    expect(await deployment.notes()).toEqual(["held"]);
  });

  test("a running job is finished", async ({ expect }) => {
    await using deployment = await createHoldingDeployment(store, sandbox);
    const server = await deployment.start();
    await enqueueHeldJob(server);
    const stopped = server.stop();
    await eventually("new connections are refused", () => refusesConnections(server));
    deployment.letGo();
    await stopped;
    expect(await jobs(deployment)).toEqual([{ state: "completed", attempt: 1, leaseOwner: null }]);
  });

  test("a job that does not end goes back without a counted attempt, and runs at the next start", async ({
    expect,
  }) => {
    await using deployment = await createHoldingDeployment(store, sandbox);
    const server = await deployment.start();
    await enqueueHeldJob(server);
    await server.stop();
    expect(await jobs(deployment)).toEqual([{ state: "ready", attempt: 0, leaseOwner: null }]);

    const next = await deployment.start();
    await next.waitForLine(/^holding$/);
    deployment.letGo();
    await next.stop();
    expect(await jobs(deployment)).toEqual([{ state: "completed", attempt: 1, leaseOwner: null }]);
  });

  test("a second signal ends the process at once", async ({ expect }) => {
    await using deployment = await createHoldingDeployment(store, sandbox);
    const server = await deployment.start();
    await enqueueHeldJob(server);
    const stopped = server.stop().catch((error: unknown) => error);
    await eventually("new connections are refused", () => refusesConnections(server));
    process.kill(server.pid, "SIGTERM");
    expect(String(await stopped)).toContain("exit code 1");
  });
});

async function enqueueHeldJob(server: ReadyServer): Promise<void> {
  await using client = createHttpClient(server.url);
  await client.request({ method: "POST", path: "/held-jobs" });
  await server.waitForLine(/^holding$/);
}

function post(client: HttpClient, path: string, id: string): Promise<HttpResponse> {
  return client.request({ method: "POST", path, body: { id } });
}

async function refusesConnections(server: ReadyServer): Promise<boolean> {
  await using client = createHttpClient(server.url);
  try {
    (await client.connect()).reset();
    return false;
  } catch {
    return true;
  }
}

const states = ["scheduled", "ready", "running", "completed", "dead"];

function jobs(deployment: HoldingDeployment): Promise<object[]> {
  return deployment.inspect(async (raw) => {
    const rows = await raw.all("select state, attempt, lease_owner from forge_jobs order by n");
    return rows.map((row) => ({
      state: states[Number(row["state"])],
      attempt: row["attempt"],
      leaseOwner: row["lease_owner"],
    }));
  });
}
