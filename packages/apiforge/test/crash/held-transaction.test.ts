import {
  createHttpClient,
  startSandboxProcess,
  storeNames,
  type HttpClient,
  type HttpResponse,
  type SandboxProcess,
} from "@apiforge/testing";
import { afterAll, beforeAll, describe, test } from "vitest";

import { createHoldingDeployment } from "./holding-deployment.ts";

let sandbox: SandboxProcess;
beforeAll(async () => {
  sandbox = await startSandboxProcess();
});
afterAll(() => sandbox.stop());

describe.concurrent.for(storeNames)("%s", (store) => {
  test("a handler that holds its transaction is cut off, named in the log, and held up nobody for long", async ({
    expect,
  }) => {
    await using deployment = await createHoldingDeployment(store, sandbox, {
      APIFORGE_TRANSACTION_LIMIT_MS: "400",
    });
    const server = await deployment.start();
    await using client = createHttpClient(server.url);
    const held = post(client, "/held-notes", "held");
    await server.waitForLine(/^holding$/);
    const others = await Promise.all(["a", "b", "c", "d"].map((id) => post(client, "/notes", id)));
    expect(others.map(({ status }) => status)).toEqual([201, 201, 201, 201]);

    const cut = await held;
    expect(cut.status).toBe(500);
    expect(cut.json()).toEqual({
      error: {
        type: "api_error",
        code: "internal_error",
        message: expect.stringContaining("request id"),
        requestId: cut.headers["x-request-id"],
      },
    });
    const [cutOff] = await server.waitForLine(/^.*transaction cut off.*$/);
    expect(JSON.parse(cutOff)).toMatchObject({
      level: 50,
      label: "POST /held-notes",
      transactionLimitMs: 400,
    });
    // The request's own line tells the code, under the id that the caller was given.
    const requestId = cut.headers["x-request-id"] ?? "no X-Request-Id";
    const [failed] = await server.waitForLine(new RegExp(`^.*"requestId":"${requestId}".*$`));
    expect(JSON.parse(failed)).toMatchObject({
      route: "/held-notes",
      err: { code: "transaction_timeout" },
    });

    // The handler wakes up later and finds its transaction over.
    deployment.letGo();
    expect(await post(client, "/notes", "e")).toMatchObject({ status: 201 });
    await server.stop();
    expect(await deployment.notes()).toEqual(["a", "b", "c", "d", "e"]);
  });
});

function post(client: HttpClient, path: string, id: string): Promise<HttpResponse> {
  return client.request({ method: "POST", path, body: { id } });
}
