import { eventually, storeNames, type HttpResponse } from "@apiforge/testing";
import { describe, expect, test } from "vitest";

import { mobileStage } from "./stage.ts";

describe.for(storeNames)("the app's screens, %s", (store) => {
  const stage = mobileStage(store);

  const get = (path: string, token: string, headers = {}): Promise<HttpResponse> => {
    return stage.client().request({ path, token, headers });
  };

  const order = (token: string, key: string, dishId = "dish_ramen"): Promise<HttpResponse> => {
    return stage.client().request({
      method: "POST",
      path: "/mobile/orders",
      token,
      headers: { "idempotency-key": key },
      body: { dishId, quantity: 2, note: `Note of ${key}` },
    });
  };

  async function noticed(token: string, count: number): Promise<void> {
    await eventually("the notice", async () => {
      const answer = await get("/mobile/home?fields=notices", token);
      return (answer.json() as { notices: unknown[] }).notices.length === count;
    });
  }

  test("the first screen is one request", async () => {
    const { access_token: token } = await stage.logIn("+15551230301");
    const body = { name: "Priya" };
    await stage.client().request({ method: "PUT", path: "/mobile/profile", token, body });
    const placed = await order(token, "first");
    await noticed(token, 1);
    const home = (await get("/mobile/home", token)).json();
    expect(home).toEqual({
      profile: { name: "Priya" },
      menu: [
        { id: "dish_curry", name: "Green curry", priceCents: 1250 },
        { id: "dish_pizza", name: "Pizza with figs", priceCents: 1180 },
        { id: "dish_ramen", name: "Ramen", priceCents: 1390 },
      ],
      orders: [placed.json()],
      notices: [
        { text: "The kitchen has your order: 2 × Ramen", createdAt: expect.stringMatching(/Z$/) },
      ],
    });
  });

  test("it sends the fields that are asked for, and names one that it does not have", async () => {
    const { access_token: token } = await stage.logIn("+15551230302");
    await order(token, "first");
    const some = await get("/mobile/home?fields=profile,orders.dish,orders.totalCents", token);
    expect(some.json()).toEqual({
      profile: { name: "" },
      orders: [{ dish: "Ramen", totalCents: 2780 }],
    });
    const whole = await get("/mobile/home", token);
    expect(some.bytes.length).toBeLessThan(whole.bytes.length / 3);
    const unknown = await get("/mobile/home?fields=orders.cost", token);
    expect([unknown.status, unknown.json()]).toMatchObject([
      400,
      { error: { code: "unknown_field" } },
    ]);
  });

  test("what has not changed is not sent again", async () => {
    const { access_token: token } = await stage.logIn("+15551230303");
    const path = "/mobile/home?fields=orders";
    const first = await get(path, token);
    expect(first.headers).toMatchObject({
      etag: expect.stringMatching(/^"/),
      "cache-control": "private, max-age=0",
    });
    const tag = { "if-none-match": String(first.headers["etag"]) };
    const same = await get(path, token, tag);
    expect([same.status, same.body]).toEqual([304, ""]);
    await order(token, "first");
    expect((await get(path, token, tag)).status).toBe(200);
  });

  test("an order is served once, however often the app sends it", async () => {
    const { access_token: token } = await stage.logIn("+15551230304");
    const answers = await Promise.all(Array.from({ length: 5 }, () => order(token, "tapped")));
    const placed = answers.filter(({ status }) => status === 201);
    expect(placed.length).toBeGreaterThan(0);
    for (const { status } of answers) expect([201, 409]).toContain(status);
    expect(new Set(placed.map(({ body }) => body)).size).toBe(1);
    const listed = (await get("/mobile/orders?fields=id", token)).json() as { data: unknown[] };
    expect(listed.data).toHaveLength(1);
    const unknown = await order(token, "unknown", "dish_none");
    expect(unknown.json()).toMatchObject({ error: { code: "dish_unknown", param: "body.dishId" } });
  });

  test("orders are listed newest first, in pages of few fields", async () => {
    const { access_token: token } = await stage.logIn("+15551230305");
    for (const key of ["one", "two", "three"]) await order(token, key);
    const notes: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const next = cursor === "" ? "" : `&cursor=${cursor}`;
      const answer = await get(`/mobile/orders?limit=1&fields=note${next}`, token);
      const page = answer.json() as { data: { note: string }[]; nextCursor: string | null };
      expect(page.data.map(Object.keys)).toEqual([["note"]]);
      notes.push(...page.data.map(({ note }) => note));
      cursor = page.nextCursor;
    }
    expect(notes).toEqual(["Note of three", "Note of two", "Note of one"]);
  });

  test("nobody sees what is another's", async () => {
    const { access_token: token } = await stage.logIn("+15551230306");
    const placed = (await order(token, "mine")).json() as { id: string };
    await noticed(token, 1);
    const { access_token: stranger } = await stage.logIn("+15551230307");
    const home = await get("/mobile/home?fields=profile,orders,notices", stranger);
    expect(home.json()).toEqual({ profile: { name: "" }, orders: [], notices: [] });
    expect((await get(`/mobile/orders/${placed.id}`, stranger)).status).toBe(404);
    expect((await get(`/mobile/orders/${placed.id}`, token)).json()).toEqual(placed);
    // The key of one is not the other's.
    expect((await order(stranger, "mine")).json()).not.toEqual(placed);
  });
});
