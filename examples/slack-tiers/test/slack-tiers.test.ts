import { eventually, storeNames, type HttpRequest, type HttpResponse } from "@apiforge/testing";
import { serveDuringTests } from "@apiforge/testing/served";
import { describe, expect, test } from "vitest";

describe.for(storeNames)("workspaces, %s", (store) => {
  const { deployment, client } = serveDuringTests(store);

  async function send(app: string, workspace: string, request: HttpRequest): Promise<HttpResponse> {
    const token = await deployment().token({ sub: app, tenant: workspace, role: "member" });
    return client().request({ ...request, token });
  }

  const post = (text: string, channel: string): HttpRequest => ({
    method: "POST",
    path: "/slack/messages",
    body: { text, channel },
  });

  test.for([
    [1, "GET", "/slack/settings", 1],
    [2, "POST", "/slack/messages", 20],
    [3, "GET", "/slack/messages", 50],
    [4, "GET", "/slack/events", 100],
  ] as const)(
    "tier %i: %s %s is answered %i times a minute",
    async ([tier, method, path, limit]) => {
      const app = `app_tier${tier}`;
      const request = { method, path, ...(method === "POST" ? { body: { text: "Hello" } } : {}) };
      const answers = await Promise.all(
        Array.from({ length: limit + 5 }, () => send(app, "ws_tiers", request)),
      );
      const refused = answers.filter(({ status }) => status === 429);
      const admitted = answers.filter(({ status }) => status < 300);
      expect([admitted.length, refused.length]).toEqual([limit, 5]);
      for (const { headers } of admitted) {
        expect(headers["ratelimit-policy"]).toBe(`"tier-${tier}";q=${limit};w=60`);
      }
      for (const answer of refused) {
        expect(answer.json()).toMatchObject({
          error: { type: "rate_limit_error", code: "rate_limited" },
        });
        expect(answer.headers).toMatchObject({
          // Up to a second more than a minute where nodes count together: by slots, the last as a whole.
          "retry-after": expect.stringMatching(/^([1-9]|[1-5]\d|6[01])$/),
          "x-rate-limit-limit": String(limit),
          "x-rate-limit-remaining": "0",
          "x-rate-limit-reset": expect.stringMatching(/^\d{10}$/),
        });
      }
    },
  );

  test("an app that is over its limit takes nothing from others, nor from itself elsewhere", async () => {
    const settings = { path: "/slack/settings" };
    expect((await send("app_loud", "ws_x", settings)).status).toBe(200);
    expect((await send("app_loud", "ws_x", settings)).status).toBe(429);
    expect((await send("app_quiet", "ws_x", settings)).status).toBe(200);
    expect((await send("app_loud", "ws_y", settings)).status).toBe(200);
    expect((await send("app_loud", "ws_x", { path: "/slack/messages" })).status).toBe(200);
  });

  test("messages are listed newest first, by channel, in pages", async () => {
    for (const [text, channel] of [
      ["one", "ops"],
      ["two", "dev"],
      ["three", "ops"],
    ] as const) {
      expect((await send("app_writer", "ws_list", post(text, channel))).status).toBe(201);
    }
    const pages: unknown[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const next = cursor === "" ? "" : `&cursor=${cursor}`;
      const path = `/slack/messages?channel=ops&limit=1${next}`;
      const answer = await send("app_reader", "ws_list", { path });
      const page = answer.json() as { data: { text: string }[]; nextCursor: string | null };
      pages.push(page.data.map(({ text }) => text));
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([["three"], ["one"]]);
  });

  test("events come in the order of the posts, from where a reader has got to", async () => {
    for (const text of ["first", "second"])
      await send("app_writer", "ws_events", post(text, "ops"));
    await send("app_writer", "ws_other", post("of another workspace", "ops"));
    type Events = { data: { seq: number; message: { text: string } }[]; lastSeq: number };
    const read = async (after: number): Promise<Events> => {
      const path = `/slack/events?after=${after}`;
      return (await send("app_reader", "ws_events", { path })).json() as Events;
    };
    await eventually("both events", async () => (await read(0)).data.length === 2);
    const { data, lastSeq } = await read(0);
    expect(data.map(({ message }) => message.text)).toEqual(["first", "second"]);
    expect(await read(data[0]?.seq ?? 0)).toMatchObject({
      data: [{ message: { text: "second" } }],
    });
    expect(await read(lastSeq)).toEqual({ data: [], hasMore: false, lastSeq });
  });

  test("a text that is too long is refused", async () => {
    const refused = await send("app_long", "ws_x", post("x".repeat(4_001), "ops"));
    expect(refused.status).toBe(400);
    expect(refused.json()).toMatchObject({ error: { param: "body.text" } });
  });
});
