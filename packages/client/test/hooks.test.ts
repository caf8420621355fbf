import { fileURLToPath } from "node:url";

import { until } from "@apiforge/testing";
import { bundleForBrowser, chromiumDeadlineMs, startChromium } from "@apiforge/testing/browser";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { startBulkServer, type BulkServer } from "./bulk-server.ts";

// In a real browser, under React's StrictMode.

const html = `<!doctype html><title>Hooks</title><body><script type="module" src="/hooks.js"></script>`;

let script: string;
let browser: Browser;
let server: BulkServer;
let page: Page;

// A browser has a hard time on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

beforeAll(async () => {
  script = await bundleForBrowser(
    fileURLToPath(new URL("../test-page/hooks.tsx", import.meta.url)),
  );
  browser = await startChromium();
}, chromiumDeadlineMs);
afterAll(() => browser.close());

beforeEach(async () => {
  server = await startBulkServer((path) => {
    if (path === "/") return { type: "text/html", text: html };
    return path === "/hooks.js" ? { type: "text/javascript", text: script } : undefined;
  });
  page = await browser.newPage();
  // Time in the page stands still until a test moves it.
  await page.clock.install({ time: new Date("2030-01-01T00:00:00Z") });
  await page.goto(server.url);
});
afterEach(async () => {
  await page.close();
  await server[Symbol.asyncDispose]();
});

function click(name: string): Promise<void> {
  return page.getByRole("button", { name, exact: true }).click();
}

async function shows(id: string, text: string): Promise<void> {
  await until(`#${id} shows "${text}"`, async () => {
    return (await page.locator(`#${id}`).textContent()) === text;
  });
}

function statusReads(): number {
  return server.received.filter((line) => line.endsWith("/status")).length;
}

test("a double click sends one request, whose job is then followed by one stream", async () => {
  server.hold(true);
  await page.getByRole("button", { name: "Send", exact: true }).dblclick();
  await shows("submission", "pending");
  await until("the request has arrived", () => server.keys.length > 0);
  server.hold(false);
  await shows("submission", "/bulk-messages/1/status");
  await shows("job", "QUEUED 0");
  await until("StrictMode's first mount has let go", () => server.listeners() === 1);
  server.change(server.jobs[0], { status: "IN_PROGRESS", processed: 2 });
  await shows("job", "IN_PROGRESS 0.5");
  await click("Send");
  server.change(server.jobs[0], { status: "COMPLETED", processed: 4 });
  await shows("job", "COMPLETED 1");
  await shows("watch", "ended");
  await until("the stream is closed", () => server.listeners() === 0);
  expect(server.keys).toHaveLength(1);
});

test("reset, and another input, are other intents", async () => {
  await click("Send");
  await shows("job", "QUEUED 0");
  await click("Reset");
  await shows("job", "none unknown");
  await click("Send");
  await shows("submission", "/bulk-messages/2/status");
  await click("Send another");
  await shows("submission", "/bulk-messages/3/status");
  expect(new Set(server.keys).size).toBe(3);
});

test("a click after an unknown outcome repeats the request under its key", async () => {
  server.cutsAnswers = true;
  await click("Send");
  await until("the client gives up", async () => {
    await page.clock.runFor(1_000);
    return (await page.locator("#submission").textContent()) === "connection_failed";
  });
  // The browser itself repeats a request whose kept connection was closed.
  expect(server.keys.length).toBeGreaterThanOrEqual(4);
  server.cutsAnswers = false;
  await click("Send");
  await shows("submission", "/bulk-messages/1/status");
  expect(new Set(server.keys).size).toBe(1);
  expect(server.jobs).toHaveLength(1);
});

test("without events the job is asked for, and no longer once it has ended", async () => {
  server.hasEvents = false;
  await click("Send");
  await shows("job", "QUEUED 0");
  server.change(server.jobs[0], { status: "IN_PROGRESS", processed: 1 });
  await until("the page asks again", async () => {
    await page.clock.runFor(500);
    return (await page.locator("#job").textContent()) === "IN_PROGRESS 0.25";
  });
  server.change(server.jobs[0], { status: "FAILED", processed: 4, failed: 4 });
  await until("the page asks again", async () => {
    await page.clock.runFor(500);
    return (await page.locator("#job").textContent()) === "FAILED 1";
  });
  const reads = statusReads();
  await page.clock.runFor(60_000);
  expect(statusReads()).toBe(reads);
});

test("a component that is gone asks and hears nothing any more", async () => {
  await click("Send");
  await until("it listens", () => server.listeners() === 1);
  const reads = statusReads();
  await click("Unmount");
  await until("the stream is closed", () => server.listeners() === 0);
  await page.clock.runFor(60_000);
  expect(server.listeners()).toBe(0);
  expect(statusReads()).toBe(reads);
});

test("cancel asks the server and shows what it said", async () => {
  await click("Send");
  await shows("job", "QUEUED 0");
  server.change(server.jobs[0], { status: "IN_PROGRESS", processed: 3 });
  await click("Cancel");
  await shows("job", "CANCELED 0.75");
  await shows("watch", "ended");
  expect(server.received).toContain("POST /bulk-messages/1/cancel");
});

test("a server that is away is trouble, not the end", async () => {
  server.hasEvents = false;
  await click("Send");
  await shows("job", "QUEUED 0");
  server.isUp = false;
  await until("the trouble shows", async () => {
    await page.clock.runFor(1_000);
    return (await page.locator("#watch").textContent()) === "connection_failed";
  });
  await shows("job", "QUEUED 0");
  server.isUp = true;
  server.change(server.jobs[0], { status: "COMPLETED", processed: 4 });
  await until("the watch goes on", async () => {
    await page.clock.runFor(10_000);
    return (await page.locator("#job").textContent()) === "COMPLETED 1";
  });
  await shows("watch", "ended");
  expect(server.jobs).toHaveLength(1);
});

test("a refusal ends the watch and is told", async () => {
  await click("Watch a stranger");
  await shows("watch", "refused not_found");
  const { length } = server.received;
  await page.clock.runFor(60_000);
  expect(server.received).toHaveLength(length);
});
