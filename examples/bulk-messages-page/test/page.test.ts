import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { until } from "@apiforge/testing";
import { chromiumDeadlineMs, startChromium } from "@apiforge/testing/browser";
import { createForge, type Forge } from "apiforge";
import { openDevIssuer } from "apiforge/internal/app";
import { silentLog } from "apiforge/internal/kernel";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { bulkMessagesPage } from "../src/index.ts";
import { bulkMessages, type BulkJob } from "./bulk-messages.ts";

const dataDir = mkdtempSync(join(tmpdir(), "apiforge-page-"));
const jobs: BulkJob[] = [];
let forge: Forge;
let url: string;
let token: string;
let browser: Browser;
let page: Page;
let complaints: string[];

// A browser has a hard time on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 });

beforeAll(async () => {
  forge = await createForge([bulkMessagesPage(), bulkMessages(jobs)], {
    config: { port: 0, dataDir },
    log: silentLog,
  });
  url = `${(await forge.listen()).url}/bulk-messages/demo`;
  const issuer = await openDevIssuer(forge.config, silentLog);
  token = await issuer.sign({ subject: "usr_demo", tenant: "ten_demo", role: "member" });
  browser = await startChromium();
}, chromiumDeadlineMs);
afterAll(async () => {
  await browser.close();
  await forge.stop();
  rmSync(dataDir, { recursive: true });
});

beforeEach(async () => {
  jobs.length = 0;
  complaints = [];
  page = await browser.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // The browser reports answers of 4xx, which the page itself shows or expects.
    const isAnswer = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isAnswer) complaints.push(message.text());
  });
  await page.clock.install({ time: new Date("2030-01-01T00:00:00Z") });
  await page.goto(url);
});
afterEach(async () => {
  await page.close();
  expect(complaints).toEqual([]);
});

async function signIn(secret = token): Promise<void> {
  await page.getByLabel("Access token").fill(secret);
  await page.getByRole("button", { name: "Continue" }).click();
}

async function send(count: number): Promise<void> {
  await page.getByLabel("Recipients").fill(String(count));
  await page.getByRole("button", { name: "Send messages" }).dblclick();
}

/** Moves the job, and the page's time until it shows so. */
async function move(change: Partial<BulkJob>, title: string): Promise<void> {
  await until("the job is there", () => jobs.length > 0);
  Object.assign(jobs[0] ?? {}, change);
  await until(`the page shows ${title}`, async () => {
    await page.clock.runFor(500);
    return page.getByRole("heading", { name: title }).isVisible();
  });
}

function countOf(name: string): Promise<string | null> {
  return page.locator("dl > div", { hasText: name }).locator("dd").textContent();
}

test("a double click makes one job, whose progress the bar shows up to its end", async () => {
  await signIn();
  await send(5_000);
  await move({}, "Waiting to start");
  expect(jobs).toHaveLength(1);
  await move({ status: "IN_PROGRESS", processed: 3_120, failed: 87 }, "Sending");
  const bar = page.getByRole("progressbar", { name: "Messages processed" });
  expect(await bar.getAttribute("aria-valuenow")).toBe("3120");
  expect(await bar.getAttribute("aria-valuemax")).toBe("5000");
  expect(await page.getByText("62%", { exact: true }).isVisible()).toBe(true);
  expect(await Promise.all(["Sent", "Failed", "Open", "Total"].map(countOf))).toEqual([
    "3,033",
    "87",
    "1,880",
    "5,000",
  ]);
  const failedNumbers = Array.from({ length: 30 }, (_, index) => `+1555000${1_000 + index}`);
  await move({ status: "COMPLETED", processed: 5_000, failed: 30, failedNumbers }, "Finished");
  await page.getByText("Numbers that failed").click();
  expect(await page.getByRole("listitem").count()).toBe(12);
  expect(await page.getByText("and 18 more").isVisible()).toBe(true);
  await page.getByRole("button", { name: "Send more" }).click();
  await send(5_000);
  await until("the same wish is another job", () => jobs.length === 2);
});

test("Cancel stops the job and says what was done", async () => {
  await signIn();
  await send(1_000);
  await move({ status: "IN_PROGRESS", processed: 250 }, "Sending");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("heading", { name: "Cancelled" }).waitFor();
  expect(jobs[0]?.status).toBe("CANCELED");
  expect(await countOf("Open")).toBe("750");
});

test("a Cancel that fails says so", async () => {
  await signIn();
  await send(1_000);
  await move({ status: "IN_PROGRESS", processed: 250 }, "Sending");
  await page.route("**/cancel", (route) => route.fulfill({ status: 403, json: {} }));
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("could not be cancelled").waitFor();
  expect(jobs[0]?.status).toBe("IN_PROGRESS");
});

test("a token that is refused can be replaced by another", async () => {
  await signIn("not.a.token");
  await send(10);
  const alert = page.getByRole("alert");
  await alert.waitFor();
  expect(await alert.textContent()).toMatch(/not accepted.*Request req_/);
  await page.getByRole("button", { name: "Use another token" }).click();
  await signIn();
  await send(10);
  await move({}, "Waiting to start");
});

test("it fits on a telephone", async () => {
  await page.setViewportSize({ width: 360, height: 640 });
  await signIn();
  await send(300);
  await move({ status: "IN_PROGRESS", processed: 100, failed: 9 }, "Sending");
  const isWider = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
  expect(isWider).toBe(false);
});

test("the page lets nothing in from elsewhere, and its script is made once", async () => {
  const answers = await Promise.all(
    ["", "/style.css", "/page.js"].map((file) => fetch(`${url}${file}`)),
  );
  expect(answers.map(({ status, headers }) => [status, headers.get("content-type")])).toEqual([
    [200, "text/html; charset=utf-8"],
    [200, "text/css; charset=utf-8"],
    [200, "text/javascript; charset=utf-8"],
  ]);
  for (const { headers } of answers) {
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  }
  const script = await answers[2]?.text();
  expect(script).not.toContain("process.env");
  expect(await (await fetch(`${url}/page.js`)).text()).toBe(script);
});
