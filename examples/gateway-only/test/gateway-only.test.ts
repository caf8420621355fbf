import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import {
  createHttpClient,
  spawnServer,
  type HttpClient,
  type ReadyServer,
} from "@apiforge/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startSite, type Site } from "./site.ts";

const root = new URL("../../../", import.meta.url);
const config = fileURLToPath(new URL("../apiforge.config.ts", import.meta.url));
const program = (name: string): string =>
  fileURLToPath(new URL(`packages/apiforge/src/cli/${name}.ts`, root));

let dataDir: string;
let site: Site;
let gateway: ReadyServer;
let client: HttpClient;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "gateway-only-"));
  site = await startSite();
  gateway = await spawnServer({
    entry: program("apiforge"),
    args: ["start", "--config", config],
    env: { PORT: "0", APIFORGE_DATA_DIR: dataDir, SITE_URL: site.url },
  });
  client = createHttpClient(gateway.url);
});
afterAll(async () => {
  await client.close();
  await gateway.stop();
  await site[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true });
});

/** What `npm run -s token` prints. */
async function token(role: string): Promise<string> {
  const args = [
    "--conditions=@apiforge/source",
    program("token"),
    "--sub",
    "usr_1",
    "--role",
    role,
  ];
  const env = { PATH: process.env["PATH"], APIFORGE_DATA_DIR: dataDir };
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return stdout.trim();
}

describe("a Python server behind one configuration file", () => {
  test("prices are for everybody, and for pages of the shop", async () => {
    const answer = await client.request({
      path: "/prices/eur.json",
      headers: { origin: "https://shop.example.com" },
    });
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ currency: "EUR", coffee: 2.4, tea: 1.9 });
    expect(answer.headers["access-control-allow-origin"]).toBe("https://shop.example.com");
    expect(answer.headers["ratelimit-policy"]).toBe('"open-per-minute-by-address";q=60;w=60');
    expect(answer.headers["x-request-id"]).toBeDefined();
  });

  test("pages of other origins may not read them", async () => {
    const headers = { origin: "https://example.com" };
    const answer = await client.request({ path: "/prices/eur.json", headers });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("a file that is no price is not asked for", async () => {
    const answer = await client.request({ path: "/prices/index.html" });
    expect(answer.status).toBe(400);
    expect(answer.json()).toMatchObject({ error: { param: "params.file" } });
  });

  test("what no route names does not exist, though Python has it", async () => {
    expect((await client.request({ path: "/index.html" })).status).toBe(404);
  });

  test("what Python does not have is its own 404", async () => {
    const answer = await client.request({ path: "/prices/xxx.json" });
    expect(answer.status).toBe(404);
    expect(answer.headers["server"]).toContain("SimpleHTTP");
  });

  test("reports are for administrators", async () => {
    const path = "/reports/2026-11.json";
    expect((await client.request({ path })).status).toBe(401);
    expect((await client.request({ path, token: await token("member") })).status).toBe(403);
    const answer = await client.request({ path, token: await token("admin") });
    expect(answer.json()).toMatchObject({ month: "2026-11" });
    expect(answer.headers["server"]).toBeUndefined();
    expect(answer.headers["x-content-type-options"]).toBe("nosniff");
  });

  test("only what is declared can be done", async () => {
    const answer = await client.request({ method: "DELETE", path: "/prices/eur.json" });
    expect(answer.status).toBe(405);
    expect(answer.headers["allow"]).toBe("GET, HEAD, OPTIONS");
  });

  test("the document of the API has both routes", async () => {
    const { paths } = (await client.request({ path: "/openapi.json" })).json() as {
      paths: Record<string, unknown>;
    };
    expect(Object.keys(paths)).toEqual(["/prices/{file}", "/reports/{rest}"]);
  });

  test("while Python is down callers are told so by the one envelope, and served again after it", async () => {
    await site.kill();
    const answer = await client.request({ path: "/prices/eur.json" });
    expect(answer.status).toBe(502);
    expect(answer.json()).toMatchObject({ error: { code: expect.stringMatching(/^upstream_/) } });
    expect(answer.body).not.toContain(new URL(site.url).port);
    await site.restart();
    const again = await client.request({ path: "/prices/usd.json" });
    expect(again.json()).toMatchObject({ currency: "USD" });
  });

  test("one address gets 60 prices a minute", async () => {
    const statuses: number[] = [];
    while (statuses.at(-1) !== 429 && statuses.length < 61) {
      statuses.push((await client.request({ path: "/prices/eur.json" })).status);
    }
    expect(statuses.at(-1)).toBe(429);
  });
});
