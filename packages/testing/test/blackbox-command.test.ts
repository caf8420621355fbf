import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const program = fileURLToPath(new URL("../src/blackbox/main.ts", import.meta.url));
const origin = "https://shop.example.com";
/** Where this gateway's paths begin, as a stage's do on some. */
const base = "/prod";

const keys = new Map<string, string>();

/** What a page may do, as Fetch has it: without a list of methods that need none, or with `*`. */
function answerPreflight(request: IncomingMessage, response: ServerResponse, path: string): void {
  const isAllowed = request.headers.origin === origin;
  const credentials = path === "/credentials";
  const headers = isAllowed
    ? {
        "access-control-allow-origin": origin,
        ...(path === "/read" ? {} : { "access-control-allow-methods": "*" }),
        ...(path === "/read" ? {} : { "access-control-allow-headers": "*, Authorization" }),
        ...(credentials ? { "access-control-allow-credentials": "true" } : {}),
      }
    : {};
  response.writeHead(204, { vary: "Origin", ...headers }).end();
}

/** Keys whose ids and texts have characters that mean something elsewhere. */
function answerKeys(request: IncomingMessage, response: ServerResponse, path: string): void {
  const id = `k$&"${keys.size}`;
  const [, named = "", action] = /^\/keys\/([^/]+)\/(\w+)$/.exec(path) ?? [];
  const known = decodeURIComponent(named);
  const json = { "content-type": "application/json" };
  if (path === "/keys") {
    keys.set(id, `text$&${keys.size}`);
    response.writeHead(201, json).end(JSON.stringify({ id, key: keys.get(id) }));
  } else if (path === "/use") {
    const isKey = [...keys.values()].includes(request.headers["x-api-key"] as string);
    response.writeHead(isKey ? 200 : 401, isKey ? {} : { "www-authenticate": "Key" }).end();
  } else if (action === "show" && keys.has(known)) {
    response.writeHead(200, json).end(JSON.stringify({ id: known }));
  } else response.writeHead(404, { "content-type": "text/html" }).end("<h1>\nNothing</h1>");
}

const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? "", "http://gateway.test");
  const path = pathname.startsWith(`${base}/`) ? pathname.slice(base.length) : "";
  if (request.method === "OPTIONS") answerPreflight(request, response, path);
  else if (path === "/read") {
    const allowed =
      request.headers.origin === origin ? { "access-control-allow-origin": origin } : {};
    response.writeHead(200, { vary: "Origin", ...allowed }).end("[]");
  } else answerKeys(request, response, path);
});
let directory: string;
let url: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "blackbox-"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`;
});
afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

async function run(
  described: unknown,
): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  const file = join(directory, "gateway.json");
  await writeFile(file, typeof described === "string" ? described : JSON.stringify(described));
  return command(file);
}

function command(
  ...args: readonly string[]
): Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }> {
  const all = ["--conditions=@apiforge/source", program, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, all, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

const answers = [{ name: "read", request: { path: "/read" }, status: 200 }];

test("a gateway below a path of its address is asked there, and may allow pages as Fetch has it", async () => {
  const preflights = [
    { path: "/read", method: "GET", headers: ["Accept"] },
    { path: "/write", method: "PUT", headers: ["Authorization", "X-Own"] },
  ];
  for (const slash of ["", "/"]) {
    const ended = await run({
      url: `${url}${slash}`,
      cors: { origins: [origin], answers, preflights },
    });
    expect(ended).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringMatching(/\n7 of 7\n$/),
    });
  }
});

test("* allows no method to requests with credentials", async () => {
  const preflights = [{ path: "/credentials", method: "PUT" }];
  const ended = await run({ url, cors: { origins: [origin], answers, preflights } });
  expect(ended).toMatchObject({ code: 1, stdout: expect.stringContaining("4 of 5") });
});

test("ids and texts of keys are sent as they are, and what a gateway answers stands in one line", async () => {
  const at = (action: string) => ({ path: "/keys/{id}/x", headers: { "x-id": `{id}/${action}` } });
  const ended = await run({
    url,
    keys: {
      create: { method: "POST", path: "/keys" },
      show: { path: "/keys/{id}/show" },
      rotate: at("rotate"),
      rotateAtOnce: at("rotate"),
      revoke: at("revoke"),
      use: { path: "/use" },
      field: "X-Api-Key",
      value: "{key}",
    },
  });
  expect(ended.stdout).toContain("ok      keys: a new key is taken");
  expect(ended.stdout).toContain("ok      keys: a key is told once");
  // A rotation that fails ends the check too.
  expect(ended.stdout).toMatch(/^ {8}a key must be told: 404 <h1> Nothing<\/h1>$/m);
  for (const line of ended.stdout.trimEnd().split("\n")) {
    expect(line).toMatch(/^(ok {6}|FAILED {2}| {8}|\d of \d$)/);
  }
});

test("what describes no gateway is told in a line, and is no failed check", async () => {
  expect(await command()).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^usage: .*\n$/),
  });
  const absent = await command(join(directory, "absent.json"));
  expect(absent).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^[^\n]*absent.json[^\n]*\n$/),
  });
  for (const [described, message] of [
    [{ url, limit: {} }, /Unrecognized key: "limit"/],
    [{ url }, /no suite/],
    ["{", /JSON/],
  ] as const) {
    const ended = await run(described);
    expect(ended).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
    expect(ended.stderr).not.toContain("    at ");
  }
});
