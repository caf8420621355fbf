import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { conflict, defineRoute, edgeError, forbidden } from "../../src/edge/index.ts";
import { newId } from "../../src/kernel/index.ts";
import type { Transaction } from "../../src/durable/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const reply = { 200: z.object({ ok: z.boolean() }) };

/** Leaves a row that tells that the handler ran. */
async function leaveTrace({ sql }: Transaction): Promise<void> {
  await sql`insert into thing (id, tenant, name) values (${newId("thing")}, 'ten_1', 'trace')`;
}

const routes = [
  defineRoute({
    method: "GET",
    path: "/audited",
    transaction: "write",
    replies: reply,
    handler: async ({ tx }) => {
      await leaveTrace(tx);
      return { status: 200, body: { ok: true } };
    },
  }),
  defineRoute({
    method: "GET",
    path: "/returned",
    transaction: "write",
    replies: reply,
    handler: async ({ tx }) => {
      await leaveTrace(tx);
      return forbidden();
    },
  }),
  defineRoute({
    method: "GET",
    path: "/thrown",
    transaction: "write",
    replies: reply,
    handler: async ({ tx }) => {
      await leaveTrace(tx);
      throw forbidden();
    },
  }),
  defineRoute({
    method: "GET",
    path: "/returned-from-read",
    replies: reply,
    handler: () => forbidden(),
  }),
  defineRoute({
    method: "POST",
    path: "/returned",
    replies: reply,
    handler: async ({ tx }) => {
      await leaveTrace(tx);
      return conflict("occupied", "Somebody sits here.", "body.seat");
    },
  }),
  defineRoute({
    method: "POST",
    path: "/returned-failure",
    replies: reply,
    handler: async ({ tx }) => {
      await leaveTrace(tx);
      return edgeError("internal_error", "It broke");
    },
  }),
];

let harness: Harness;
beforeEach(async () => {
  harness = await startHarness(routes);
});
afterEach(() => harness.stop());

async function send(
  method: "GET" | "HEAD" | "POST",
  url: string,
  headers: Record<string, string> = {},
) {
  const authorization = await harness.bearer();
  return harness.edge.inject({ method, url, headers: { authorization, ...headers } });
}

async function traces(): Promise<number> {
  const rows = await harness.durable.read("traces", (reader) => reader.sql`select id from thing`);
  return rows.length;
}

describe("a GET with a transaction", () => {
  test("leaves what it wrote, each time, and tells its position in the log", async () => {
    const response = await send("GET", "/audited");
    expect(response.statusCode).toBe(200);
    expect(response.headers["x-forge-seq"]).toBe("0");
    await send("HEAD", "/audited");
    expect(await traces()).toBe(2);
  });

  test("takes no idempotency key", async () => {
    const headers = { "idempotency-key": "k" };
    await send("GET", "/audited", headers);
    const again = await send("GET", "/audited", headers);
    expect(again.headers["idempotent-replayed"]).toBeUndefined();
    expect(await traces()).toBe(2);
  });
});

describe("a refusal", () => {
  test("that is returned keeps what the handler did", async () => {
    const response = await send("GET", "/returned", { "x-request-id": "req_a" });
    expect(response.statusCode).toBe(403);
    expect(response.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
    });
    expect(response.json()).toEqual({
      error: {
        type: "permission_error",
        code: "forbidden",
        message: "Forbidden",
        requestId: "req_a",
      },
    });
    expect(await traces()).toBe(1);
  });

  test("that is thrown is answered the same and keeps nothing", async () => {
    const [returned, thrown] = await Promise.all(
      ["/returned", "/thrown"].map((url) => send("GET", url, { "x-request-id": "same" })),
    );
    expect(thrown?.statusCode).toBe(403);
    expect(thrown?.body).toBe(returned?.body);
    expect(await traces()).toBe(1);
  });

  test("comes in the form that the caller asks for", async () => {
    const response = await send("GET", "/returned", { accept: "application/problem+json" });
    expect(response.headers["content-type"]).toBe("application/problem+json; charset=utf-8");
    expect(response.json()).toMatchObject({ status: 403, code: "forbidden" });
  });

  test("that a reading route returns is a refusal like any other", async () => {
    expect((await send("GET", "/returned-from-read")).statusCode).toBe(403);
  });

  test("is recorded under the key with what it left, once", async () => {
    const headers = { "idempotency-key": "k" };
    const first = await send("POST", "/returned", headers);
    const second = await send("POST", "/returned", headers);
    expect(first.statusCode).toBe(409);
    expect(first.json()).toMatchObject({ error: { code: "occupied", param: "body.seat" } });
    expect(second.body).toBe(first.body);
    expect(second.headers["idempotent-replayed"]).toBe("true");
    expect(await traces()).toBe(1);
  });

  test("that speaks of a failure (5xx) keeps nothing and is not recorded", async () => {
    const headers = { "idempotency-key": "k" };
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const response = await send("POST", "/returned-failure", headers);
      expect(response.statusCode).toBe(500);
      expect(response.headers["idempotent-replayed"]).toBeUndefined();
    }
    expect(await traces()).toBe(0);
  });
});
