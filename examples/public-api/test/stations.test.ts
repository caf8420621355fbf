import { storeNames } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { publicApiStage } from "./stage.ts";

const path = "/public-api/stations";

describe.for(storeNames)("reading stations, %s", (store) => {
  const stage = publicApiStage(store);

  interface Page {
    readonly data: readonly { readonly id: string }[];
    readonly nextCursor: string | null;
  }

  test("pages go on by signed cursors, which are of one list and one developer", async () => {
    const { key } = await stage.keyFor("list@example.com");
    const ids: string[] = [];
    let next: string | null = "";
    let cursor = "";
    while (next !== null) {
      const answer = await stage.get(`${path}?line=red&limit=2${next}`, key);
      const page = answer.json() as Page;
      ids.push(...page.data.map(({ id }) => id));
      cursor = page.nextCursor ?? cursor;
      next = page.nextCursor === null ? null : `&cursor=${page.nextCursor}`;
    }
    expect(ids).toEqual(["sta_castle", "sta_market", "sta_museum"]);
    const other = await stage.keyFor("other@example.com");
    for (const [query, who] of [
      [`line=blue&cursor=${cursor}`, key],
      [`line=red&cursor=${cursor}`, other.key],
      [`line=red&cursor=${cursor.slice(0, -2)}`, key],
    ] as const) {
      const answer = await stage.get(`${path}?${query}`, who);
      expect([answer.status, answer.json()]).toMatchObject([
        400,
        { error: { code: "invalid_cursor" } },
      ]);
    }
  });

  test("a station that has not changed is not sent again", async () => {
    const { key } = await stage.keyFor("cache@example.com");
    const first = await stage.get(`${path}/sta_park`, key);
    expect(first.json()).toEqual({
      id: "sta_park",
      name: "Park",
      line: "blue",
      latitude: 51.5266,
      longitude: -0.1526,
    });
    expect(first.headers).toMatchObject({
      "cache-control": "private, max-age=60",
      vary: "Authorization, X-Api-Key",
    });
    const tag = { "if-none-match": String(first.headers["etag"]) };
    const same = await stage.get(`${path}/sta_park`, key, tag);
    expect([same.status, same.body]).toEqual([304, ""]);
    expect((await stage.get(`${path}/sta_castle`, key, tag)).status).toBe(200);
    expect((await stage.get(`${path}/sta_none`, key)).status).toBe(404);
  });

  test("without a key nothing is read, and with a token neither", async () => {
    const none = await stage.client().request({ path });
    expect([none.status, none.json()]).toMatchObject([401, { error: { code: "missing_api_key" } }]);
    const token = await stage.deployment().token({ sub: "usr_1" });
    expect((await stage.client().request({ path, token })).status).toBe(401);
  });

  test.for([
    ["free", 60],
    ["pro", 6_000],
  ] as const)(
    "a key of plan %s may ask %i times a minute, and every answer says so",
    async ([plan, limit]) => {
      const { key } = await stage.keyOfPlan(plan);
      const policy = `"${plan}";q=${limit};w=60`;
      const answers = await Promise.all(Array.from({ length: 65 }, () => stage.get(path, key)));
      for (const { headers } of answers) {
        expect(headers["ratelimit-policy"]).toBe(policy);
        expect(headers["x-rate-limit-limit"]).toBe(String(limit));
      }
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused.length).toBe(Math.max(0, 65 - limit));
      for (const answer of refused) {
        expect(answer.json()).toMatchObject({ error: { code: "rate_limited" } });
        expect(answer.headers["retry-after"]).toMatch(/^\d+$/);
      }
    },
  );

  test("a developer rotates and revokes his keys with a key", async () => {
    const { id, key } = await stage.keyFor("rotate@example.com");
    const headers = { "x-api-key": key };
    const rotated = await stage
      .client()
      .request({ method: "POST", path: `/v1/keys/${id}/rotate`, headers, body: {} });
    const next = rotated.json() as { id: string; key: string };
    expect(next.id).toBe(id);
    expect((await stage.get(path, key)).status).toBe(200);
    expect((await stage.get(path, next.key)).status).toBe(200);
    const other = await stage.keyFor("stranger@example.com");
    const revoke = (as: string) =>
      stage
        .client()
        .request({ method: "DELETE", path: `/v1/keys/${id}`, headers: { "x-api-key": as } });
    expect((await revoke(other.key)).status).toBe(404);
    expect((await revoke(next.key)).status).toBe(204);
    expect((await stage.get(path, key)).status).toBe(401);
    expect((await stage.get(path, next.key)).status).toBe(401);
  });

  test("nobody makes himself a key of another plan or with more scopes", async () => {
    const { key } = await stage.keyFor("greedy@example.com");
    for (const body of [{ plan: "pro" }, { scopes: ["admin"] }, { role: "admin" }]) {
      const answer = await stage
        .client()
        .request({ method: "POST", path: "/v1/keys", headers: { "x-api-key": key }, body });
      expect(answer.status, answer.body).toBe(403);
    }
  });
});
