import { afterAll, beforeAll, expect, test } from "vitest";

import { createCursorCodec } from "../../src/edge/cursor.ts";
import { startHarness, type Harness } from "./edge-harness.ts";
import { thingRoutes } from "./thing-routes.ts";

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness(thingRoutes);
  await harness.durable.transact("rows", { tenant: "ten_1", requestId: "r" }, async (tx) => {
    for (let index = 0; index < 25; index++) {
      const id = `thing_${String(index).padStart(2, "0")}`;
      await tx.sql`insert into thing (id, tenant, name) values (${id}, ${"ten_1"}, ${"n"})`;
    }
  });
});
afterAll(() => harness.stop());

async function list(query: Record<string, string>, tenant = "ten_1") {
  return harness.edge.inject({
    method: "GET",
    url: "/things",
    query,
    headers: { authorization: await harness.bearer({ tenant }) },
  });
}

async function nextCursor(query: Record<string, string> = {}): Promise<string> {
  return (await list({ limit: "2", ...query })).json().nextCursor;
}

test("pages follow one another to the end", async () => {
  const seen: string[] = [];
  const sizes: number[] = [];
  let cursor: string | null = null;
  do {
    const response = await list({ limit: "10", ...(cursor === null ? {} : { cursor }) });
    expect(response.statusCode).toBe(200);
    const page: { data: { id: string }[]; hasMore: boolean; nextCursor: string | null } =
      response.json();
    expect(page.hasMore).toBe(page.nextCursor !== null);
    seen.push(...page.data.map((row) => row.id));
    sizes.push(page.data.length);
    cursor = page.nextCursor;
  } while (cursor !== null);
  expect(sizes).toEqual([10, 10, 5]);
  expect(new Set(seen).size).toBe(25);
  expect(seen).toEqual([...seen].sort());
});

test("a page has 20 rows by default, and an empty list is a page", async () => {
  expect((await list({})).json().data).toHaveLength(20);
  expect((await list({}, "ten_2")).json()).toEqual({ data: [], hasMore: false, nextCursor: null });
});

test("a cursor is good for another page size", async () => {
  const response = await list({ limit: "1", cursor: await nextCursor() });
  expect(response.json().data).toEqual([{ id: "thing_02", name: "n" }]);
});

test.each([
  ["another tenant", {}, "ten_2"],
  ["another filter", { name: "x" }, "ten_1"],
  ["a sort that was not asked for then", { sort: "id" }, "ten_1"],
])("a cursor is refused for %s", async (_what, query, tenant) => {
  const response = await list({ ...query, cursor: await nextCursor() }, tenant);
  expect([response.statusCode, response.json().error.code]).toEqual([400, "invalid_cursor"]);
});

test("a cursor is refused after any change", async () => {
  const cursor = await nextCursor();
  const changes = [
    "",
    ".",
    cursor.slice(0, -1),
    `${cursor}A`,
    cursor.split(".")[0] ?? "",
    `${Buffer.from('{"id":"thing_99"}').toString("base64url")}.${cursor.split(".")[1]}`,
    `${cursor}=`,
    "x".repeat(5_000),
  ];
  for (const changed of changes) {
    const response = await list({ cursor: changed });
    expect([changed, response.statusCode, response.json().error.code]).toEqual([
      changed,
      400,
      "invalid_cursor",
    ]);
  }
});

test("cursors of another key are refused, and a short key is none", () => {
  const one = createCursorCodec(new Uint8Array(32).fill(1));
  const two = createCursorCodec(new Uint8Array(32).fill(2));
  const cursor = one.encode({ id: "a" }, "binding");
  expect(one.decode(cursor, "binding")).toEqual({ id: "a" });
  expect(() => two.decode(cursor, "binding")).toThrow(
    expect.objectContaining({ code: "invalid_cursor" }),
  );
  expect(() => one.decode(cursor, "other")).toThrow(
    expect.objectContaining({ code: "invalid_cursor" }),
  );
  expect(() => createCursorCodec(new Uint8Array(31))).toThrow(TypeError);
});
