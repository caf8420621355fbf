import { createDeployment, storeNames, type Deployment, type ReadyServer } from "@apiforge/testing";
import { gatewayChecks, runChecks } from "@apiforge/testing/blackbox";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const version3 = {
  at: "2026-10-01T00:00:00Z",
  sunsetAt: "2027-10-01T00:00:00Z",
  successor: "/graphql",
};
const origins = ["shop", "admin", "promo"].map((name) => `https://${name}.example.com`);

describe.for(storeNames)("the example server as a gateway, %s", (store) => {
  let deployment: Deployment;
  let server: ReadyServer;

  beforeAll(async () => {
    deployment = await createDeployment({ store, postgresUrl: postgresUrl() });
    server = await deployment.start();
  });
  afterAll(async () => {
    await server.stop();
    await deployment[Symbol.asyncDispose]();
  });

  async function fieldsOf(sub: string, tenant = "ten_one"): Promise<{ authorization: string }> {
    return { authorization: `Bearer ${await deployment.token({ sub, tenant })}` };
  }

  async function assertPassed(described: Omit<Parameters<typeof gatewayChecks>[0], "url">) {
    const checks = gatewayChecks({ url: server.url, ...described });
    const outcomes = await runChecks(checks);
    expect(outcomes.filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(outcomes).not.toEqual([]);
  }

  test("creating projects takes idempotency keys", async () => {
    const headers = await fieldsOf("usr_one");
    await assertPassed({
      idempotency: {
        create: { method: "POST", path: "/api/projects", headers, body: { name: "{mark}" } },
        otherBody: { name: "{mark}", status: "paused" },
        effects: { path: "/api/projects?limit=100", headers },
        otherCallers: [await fieldsOf("usr_two"), await fieldsOf("usr_one", "ten_two")],
        alias: "X-Idempotency-Key",
        bareKeys: true,
        replayedField: "Idempotent-Replayed",
      },
    });
  });

  test.for([
    ["GET", "/slack/settings", 1],
    ["POST", "/slack/messages", 20],
    ["GET", "/slack/messages", 50],
    ["GET", "/slack/events", 100],
  ] as const)("%s %s keeps its tier", async ([method, path, limit]) => {
    const callers = Array.from({ length: 7 }, (_, index) => fieldsOf(`app_${index}`));
    const body = method === "POST" ? { body: { text: "{mark}" } } : {};
    await assertPassed({
      limits: {
        request: { method, path, ...body },
        limit,
        windowSeconds: 60,
        callers: await Promise.all(callers),
        legacyFields: true,
      },
    });
  });

  test("products are read by the pages of three origins", async () => {
    await assertPassed({
      cors: {
        origins,
        answers: [
          { name: "products", request: { path: "/products" }, status: 200 },
          { name: "no product", request: { path: "/products/nothing" }, status: 404 },
          { name: "a bad query", request: { path: "/products?limit=0" }, status: 400 },
        ],
        preflights: [{ path: "/products", method: "GET", headers: ["Authorization"] }],
        maxAgeSeconds: 86_400,
      },
    });
  });

  test("repositories by REST are deprecated", async () => {
    await assertPassed({
      deprecation: {
        deprecated: [
          { request: { path: "/repos/octocat/hello-world" }, status: 200, ...version3 },
          { request: { path: "/repos/octocat/nothing" }, status: 404, ...version3 },
        ],
        current: [{ path: "/graphql?query=%7B__typename%7D" }],
      },
    });
  });

  test("API keys are rotated and revoked", async () => {
    const headers = await fieldsOf("usr_keys");
    const rotate = { method: "POST", path: "/v1/keys/{id}/rotate", headers };
    await assertPassed({
      keys: {
        create: {
          method: "POST",
          path: "/v1/keys",
          headers,
          body: { name: "{mark}", scopes: ["keys:manage"] },
        },
        rotate,
        rotateAtOnce: { ...rotate, body: { overlapSeconds: 0 } },
        revoke: { method: "DELETE", path: "/v1/keys/{id}", headers },
        show: { path: "/v1/keys/{id}", headers },
        use: { path: "/v1/keys" },
      },
    });
  });
});
