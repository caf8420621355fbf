import { storeNames } from "@apiforge/testing";
import { gatewayChecks, runChecks } from "@apiforge/testing/blackbox";
import { serveDuringTests } from "@apiforge/testing/served";
import { describe, expect, test } from "vitest";

const version3 = {
  at: "2026-10-01T00:00:00Z",
  sunsetAt: "2027-10-01T00:00:00Z",
  successor: "/graphql",
};
const origins = ["shop", "admin", "promo"].map((name) => `https://${name}.example.com`);

describe.for(storeNames)("the example server as a gateway, %s", (store) => {
  const { deployment, server } = serveDuringTests(store);

  async function fieldsOf(sub: string, tenant = "ten_one"): Promise<{ authorization: string }> {
    return { authorization: `Bearer ${await deployment().token({ sub, tenant })}` };
  }

  /** A key for stations, of a plan. */
  async function keyOf(index: number, plan: string): Promise<string> {
    const body = { name: `Key ${index}`, scopes: ["stations:read"], plan };
    const answer = await fetch(`${server().url}/v1/keys`, {
      method: "POST",
      headers: { ...(await fieldsOf("usr_admin")), "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(201);
    return ((await answer.json()) as { key: string }).key;
  }

  async function assertPassed(described: Omit<Parameters<typeof gatewayChecks>[0], "url">) {
    const checks = gatewayChecks({ url: server().url, ...described });
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

  test("ordering a dish needs an idempotency key", async () => {
    const headers = await fieldsOf("usr_hungry");
    const path = "/mobile/orders";
    const dish = { dishId: "dish_ramen", note: "{mark}" };
    const create = { method: "POST", path, headers, body: dish };
    await assertPassed({
      idempotency: {
        create,
        otherBody: { ...dish, dishId: "dish_pizza" },
        effects: { path: `${path}?limit=100&fields=note`, headers },
        otherCallers: [await fieldsOf("usr_hungrier"), await fieldsOf("usr_hungry", "ten_two")],
        keyRequired: create,
        alias: "X-Idempotency-Key",
        bareKeys: true,
        replayedField: "Idempotent-Replayed",
      },
    });
  });

  test.for([
    ["X-Api-Key", "{key}"],
    ["Authorization", "Bearer {key}"],
  ])("keys for stations are rotated and revoked, sent as %s", async ([field, value]) => {
    const headers = await fieldsOf("usr_admin");
    const managed = (method: string, more = "", body?: object) => ({
      method,
      path: `/v1/keys/{id}${more}`,
      headers,
      ...(body === undefined ? {} : { body }),
    });
    await assertPassed({
      keys: {
        create: { method: "POST", path: "/v1/keys", headers, body: { scopes: ["stations:read"] } },
        rotate: managed("POST", "/rotate", {}),
        rotateAtOnce: managed("POST", "/rotate", { overlapSeconds: 0 }),
        revoke: managed("DELETE"),
        show: managed("GET"),
        use: { path: "/public-api/stations" },
        field,
        value,
      },
    });
  });

  test("keys of the free plan keep its limit, each for itself", async () => {
    const callers = await Promise.all(
      Array.from({ length: 7 }, async (_, index) => ({ "x-api-key": await keyOf(index, "free") })),
    );
    await assertPassed({
      limits: {
        request: { path: "/public-api/stations/sta_park" },
        limit: 60,
        windowSeconds: 60,
        callers,
        legacyFields: true,
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
