import { chromiumDeadlineMs, startChromium } from "@apiforge/testing/browser";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute, listQuery, pageOf } from "../../src/edge/index.ts";
import { startHarness, type Harness } from "./edge-harness.ts";

const hostile = '<img src=x onerror="fail()"> & "quotes"';
const node = z.object({
  id: z.string(),
  size: z.int().min(1).max(9).optional(),
  get children() {
    return z.array(node);
  },
});
const list = defineRoute({
  method: "GET",
  path: "/things",
  summary: hostile,
  tags: [hostile],
  deprecated: { at: "2025-01-01" },
  query: listQuery({ state: z.enum(["open", "done"]).optional().describe(hostile) }),
  replies: { 200: pageOf(node) },
  handler: () => ({ status: 200, body: { data: [], hasMore: false, nextCursor: null } }),
});
const create = defineRoute({
  method: "POST",
  path: "/things/:id/parts",
  scopes: ["things:write"],
  body: z.union([z.object({ name: z.string() }), z.object({ copyOf: z.string() })]),
  replies: { 201: z.record(z.string(), z.object({ note: z.string() })), 204: null },
  handler: () => ({ status: 204 }),
});

let harness: Harness;
let browser: Awaited<ReturnType<typeof startChromium>>;
beforeAll(async () => {
  const api = { title: `Things ${hostile}`, version: "1.2.3", description: hostile };
  harness = await startHarness([list, create], { api });
  browser = await startChromium();
}, chromiumDeadlineMs);
afterAll(async () => {
  await browser.close();
  await harness.stop();
});

test("every operation is on the page, with what it takes and answers", async () => {
  const { statusCode, headers, body } = await harness.edge.inject({ url: "/docs" });
  expect(statusCode).toBe(200);
  expect(headers["content-type"]).toBe("text/html; charset=utf-8");
  const text = body.replaceAll(/<style>.*?<\/style>/gs, "").replaceAll(/<[^>]*>/g, " ");
  const words = text.replaceAll(/\s+/g, " ");
  for (const said of ["1.2.3", "deprecated", "things:write", "1 to 9", "optional", "copyOf"]) {
    expect(words).toContain(said);
  }
  expect(words).toContain("nextCursor string or null");
  expect(body).toContain('id="getThings"');
  expect(body).toContain('href="#postThingsByIdParts"');
  expect(body).toContain("curl -X POST &#34;$API/things/{id}/parts&#34;");
});

test("what a declaration says is text, and nothing runs or is fetched", async () => {
  const { body, headers } = await harness.edge.inject({ url: "/docs" });
  expect(body).not.toContain("<img");
  expect(body).not.toMatch(/<script|\son\w+="|https?:\/\/(?!www\.w3)/);
  expect(headers["content-security-policy"]).toMatch(
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'/,
  );
});

test("a browser applies the style, asks for nothing else and finds nothing to complain about", async () => {
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  const page = await browser.newPage({ viewport: { width: 390, height: 800 } });
  const asked: string[] = [];
  const complaints: string[] = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(`${url}/docs`);
  const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
  expect(await page.evaluate(overflow)).toBe(0);
  const weight = "getComputedStyle(document.querySelector('.title')).fontWeight";
  expect(await page.evaluate(weight)).toBe("650");
  await page.click('.bar a[href="#operations"]');
  await page.click('nav a[href="#getThings"]');
  const isMenuShown = "getComputedStyle(document.querySelector('nav')).display !== 'none'";
  expect(await page.evaluate(isMenuShown)).toBe(false);
  expect(asked).toEqual([`${url}/docs`]);
  expect(complaints).toEqual([]);
});
