import { storeNames, type HttpResponse } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { dataOf, projectsStage, type StageRequest } from "./stage.ts";
import type { TokenName } from "./tokens.ts";

const parallel = 100;

describe.for(storeNames)("idempotency, %s", (store) => {
  const stage = projectsStage(store);

  function create(key: string, name: string, as: TokenName = "priya"): Promise<HttpResponse> {
    return stage.send({
      method: "POST",
      path: "/api/projects",
      as,
      headers: { "idempotency-key": key },
      body: { name },
    });
  }

  test("the same request again gets the same bytes and has no effect", async () => {
    const first = await create("replay", "Once");
    const stored = await stage.storedRows();
    for (let count = 0; count < 3; count += 1) checkReplay(await create("replay", "Once"), first);
    expect(await stage.storedRows()).toEqual(stored);
  });

  test("bare, quoted and aliased, a key is one key", async () => {
    const first = await create("spelled", "Once");
    const spellings = [{ "idempotency-key": '"spelled"' }, { "x-idempotency-key": "spelled" }];
    for (const headers of spellings) {
      const body = { name: "Once" };
      const again = await stage.send({ method: "POST", path: "/api/projects", headers, body });
      checkReplay(again, first);
    }
  });

  test("the longest key is a key", async () => {
    const key = "k".repeat(255);
    const first = await create(key, "Long");
    checkReplay(await create(key, "Long"), first);
  });

  test("key order and whitespace do not make another request, other content does", async () => {
    const headers = { "idempotency-key": "content", "content-type": "application/json" };
    const send = (rawBody: string): Promise<HttpResponse> =>
      stage.send({ method: "POST", path: "/api/projects", headers, rawBody });
    const first = await send('{"name":"A","status":"planned"}');
    expect(first.status).toBe(201);
    checkReplay(await send('{ "status": "planned",\n"name": "A" }'), first);
    const stored = await stage.storedRows();
    for (const other of ['{"name":"a","status":"planned"}', '{"name":"A"}']) {
      const refused = await send(other);
      expect(refused.status).toBe(422);
      expect(refused.json()).toEqual({
        error: {
          type: "idempotency_error",
          code: "idempotency_key_reused",
          message: expect.stringMatching(/\S/),
          requestId: refused.headers["x-request-id"],
        },
      });
    }
    expect(await stage.storedRows()).toEqual(stored);
    checkReplay(await send('{"name":"A","status":"planned"}'), first);
  });

  test(`${parallel} requests with one key at once have one effect`, async () => {
    const before = await stage.storedRows();
    const answers = await Promise.all(
      Array.from({ length: parallel }, () => create("parallel", "Once")),
    );
    const created = answers.filter(({ status }) => status === 201);
    const busy = answers.filter(({ status }) => status === 409);
    expect(created.length).toBeGreaterThan(0);
    expect(created.length + busy.length).toBe(parallel);
    expect(new Set(created.map(({ body }) => body)).size).toBe(1);
    for (const { headers, body } of busy) {
      expect(Number(headers["retry-after"])).toBeGreaterThan(0);
      expect(JSON.parse(body)).toMatchObject({
        error: { type: "idempotency_error", code: "idempotency_in_progress" },
      });
    }
    expect(await stage.storedRows()).toEqual({
      ...before,
      projects: (before["projects"] ?? 0) + 1,
      answers: (before["answers"] ?? 0) + 1,
      events: (before["events"] ?? 0) + 1,
      jobs: (before["jobs"] ?? 0) + 1,
    });
  });

  test("another user, tenant, method or path with the same key is independent", async () => {
    const key = "scoped";
    const mine = await create(key, "Mine");
    const others = [await create(key, "Mine", "sam"), await create(key, "Mine", "stranger")];
    for (const other of others) {
      expect(other.status).toBe(201);
      expect(other.headers["idempotent-replayed"]).toBeUndefined();
    }
    const ids = [mine, ...others].map((response) => dataOf(response).id);
    expect(new Set(ids).size).toBe(3);
    const headers = { "idempotency-key": key };
    const { id } = dataOf(mine);
    const rest: readonly StageRequest[] = [
      { method: "PATCH", path: `/api/projects/${id}`, headers, body: { name: "Mine" } },
      {
        method: "POST",
        path: `/api/projects/${id}/members`,
        headers,
        body: { email: "a@b.example" },
      },
      { method: "DELETE", path: `/api/projects/${id}`, headers },
    ];
    for (const request of rest) {
      const first = await stage.send(request);
      expect(first.status).toBeLessThan(300);
      expect(first.headers["idempotent-replayed"]).toBeUndefined();
      checkReplay(await stage.send(request), first);
    }
  });

  test("a refusal of the business is recorded like any answer", async () => {
    const project = await stage.create({ name: "Team" });
    const request: StageRequest = {
      method: "POST",
      path: `/api/projects/${project.id}/members`,
      headers: { "idempotency-key": "refused" },
      body: { email: "sam@apiforge.dev" },
    };
    const { headers: _, ...unkeyed } = request;
    expect((await stage.send(unkeyed)).status).toBe(201);
    const first = await stage.send(request);
    expect(first.status).toBe(409);
    checkReplay(await stage.send(request), first);

    const gone: StageRequest = {
      method: "DELETE",
      path: `/api/projects/${project.id}`,
      headers: { "idempotency-key": "gone" },
    };
    expect((await stage.send({ method: "DELETE", path: gone.path })).status).toBe(204);
    const missed = await stage.send(gone);
    expect(missed.status).toBe(404);
    checkReplay(await stage.send(gone), missed);
  });

  test("a request that was refused before its handler leaves its key free", async () => {
    const key = "corrected";
    expect((await create(key, "")).status).toBe(400);
    expect((await create(key, "Corrected")).status).toBe(201);
  });

  test("reading ignores keys", async () => {
    const before = await stage.storedRows();
    const headers = { "idempotency-key": "read" };
    for (const limit of [1, 2]) {
      const response = await stage.send({ path: `/api/projects?limit=${limit}`, headers });
      expect(response.status).toBe(200);
      expect(response.headers["idempotent-replayed"]).toBeUndefined();
    }
    expect(await stage.storedRows()).toEqual(before);
  });

  test("a replay has a request id of its own", async () => {
    const first = await create("ids", "Once");
    const again = await create("ids", "Once");
    expect(again.headers["x-request-id"]).not.toBe(first.headers["x-request-id"]);
  });
});

function checkReplay(again: HttpResponse, first: HttpResponse): void {
  expect(again.headers["idempotent-replayed"]).toBe("true");
  expect(again.status).toBe(first.status);
  expect(again.bytes.equals(first.bytes)).toBe(true);
  for (const name of ["content-type", "content-length", "x-forge-seq"]) {
    expect(again.headers[name], name).toBe(first.headers[name]);
  }
}
