import { createDeployment } from "@apiforge/testing";
import { chromiumDeadlineMs, startChromium } from "@apiforge/testing/browser";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 90_000 });

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
}, chromiumDeadlineMs);
afterAll(() => browser.close());

test("the example server's page sends real messages and hears of their progress", async () => {
  await using deployment = await createDeployment({ store: "sqlite", postgresUrl: postgresUrl() });
  await using server = await deployment.start();
  const page = await browser.newPage();
  const requests: string[] = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await page.goto(`${server.url}/bulk-messages/demo`);
  await page.getByLabel("Access token").fill(await deployment.token({ sub: "usr_demo" }));
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Recipients").fill("40");
  await page.getByRole("button", { name: "Send messages" }).dblclick();
  await page.getByRole("heading", { name: "Finished" }).waitFor({ timeout: 60_000 });
  expect(await page.getByRole("progressbar").getAttribute("aria-valuenow")).toBe("40");
  expect(requests.filter((path) => path === "/bulk-messages")).toHaveLength(1);
  // By its events: the status is read at the beginning and at the end only.
  expect(requests.filter((path) => path.endsWith("/events"))).not.toEqual([]);
  expect(requests.filter((path) => path.endsWith("/status")).length).toBeLessThanOrEqual(2);
});
