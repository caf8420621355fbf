import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { createHttpClient, spawnServer, until } from "@apiforge/testing";
import { describe, expect, onTestFinished, test } from "vitest";

import { startRawUpstream } from "../../gateway/gateway-harness.ts";
import { cliEntry, folderWith, runCli } from "./cli-run.ts";

const sound = { upstreams: { files: { endpoints: ["http://127.0.0.1:9"] } } };
const broken = { upstreams: { files: { endpoints: [] } }, routs: [] };

describe("apiforge check", () => {
  test("says in one line what a sound configuration has, and exits with 0", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(sound));
    const { exitCode, stdout, stderr } = await runCli(folder, "check");
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 0,
      stdout: "apiforge.config.json: 1 path, 5 routes, 1 upstream\n",
      stderr: "",
    });
  });

  test("lists every problem with its place and a remedy, and exits with 1", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(broken));
    const { exitCode, stdout, stderr } = await runCli(folder, "check");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toBe(
      `apiforge.config.json: 2 problems

  upstreams.files.endpoints is an empty list that cannot be used here.
    Write a list of at least one endpoint.

  routs is not known here.
    Write routes.
`,
    );
  });

  test("has the same for programs", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(broken));
    const { exitCode, stdout } = await runCli(folder, "check", "--json");
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      problems: [{ path: "upstreams.files.endpoints" }, { path: "routs" }],
    });
  });

  test.each([
    ["no file", "other.txt", "", "This folder has no apiforge.config.ts."],
    ["no JSON", "apiforge.config.json", "{", "apiforge.config.json cannot be loaded:"],
    [
      "no default export",
      "apiforge.config.ts",
      "export const a = 1;",
      "exports nothing by default",
    ],
    ["an error of its own", "apiforge.config.ts", "throw new Error('no luck');", "no luck"],
  ])("%s is a problem like any other", async (_name, file, text, said) => {
    const folder = await folderWith(file, text);
    const { exitCode, stderr } = await runCli(folder, "check");
    expect(exitCode).toBe(1);
    expect(stderr).toContain(said);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

describe("apiforge start", () => {
  test("starts nothing while something is wrong", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(broken));
    const { exitCode, stdout, stderr } = await runCli(folder, "start");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain("2 problems");
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  test("serves a module's configuration, with what it imports, until SIGTERM", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    onTestFinished(() => upstream.close());
    const text = `import { url } from "./url.ts";
export default { upstreams: { files: { endpoints: [url] } }, defaults: { auth: "none" } };`;
    const folder = await folderWith("apiforge.config.ts", text);
    await writeFile(join(folder, "url.ts"), `export const url: string = "${upstream.url}";`);
    const server = await spawnServer({
      entry: cliEntry,
      args: ["start"],
      cwd: folder,
      env: { PORT: "0" },
    });
    onTestFinished(() => server.kill9());
    const client = createHttpClient(server.url);
    onTestFinished(() => client.close());
    expect((await client.request({ path: "/x" })).body).toBe("ok");
    expect(server.stdout()).toContain("apiforge.config.ts: 1 path, 5 routes, 1 upstream");
    await server.stop();
  });
});

describe("apiforge start and its file", () => {
  test("takes up what the file and its imports say, by itself and on SIGHUP, and goes back on SIGUSR2", async () => {
    const upstream = await startRawUpstream((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    onTestFinished(() => upstream.close());
    const text = `import { path } from "./path.ts";
const upstreams = { files: { endpoints: ["${upstream.url}"] } };
export default { upstreams, routes: [{ path, upstream: "files", auth: "none" }] };`;
    const folder = await folderWith("apiforge.config.ts", text);
    const say = (path: string) =>
      writeFile(join(folder, "path.ts"), `export const path: string = ${path};`);
    await say('"/a"');
    const env = { PORT: "0", APIFORGE_ACCESS_LOG: "all" };
    const server = await spawnServer({ entry: cliEntry, args: ["start"], cwd: folder, env });
    onTestFinished(() => server.kill9());
    const client = createHttpClient(server.url);
    onTestFinished(() => client.close());
    const statuses = async () => [
      (await client.request({ path: "/a" })).status,
      (await client.request({ path: "/b" })).status,
    ];
    expect(await statuses()).toEqual([200, 404]);
    await say('"/b"');
    await server.waitForLine(/apiforge.config.ts: revision 2-/);
    expect(await statuses()).toEqual([404, 200]);
    await say("7");
    process.kill(server.pid, "SIGHUP");
    await until("the refusal", () => server.stderr().includes("routes[0].path is a number"));
    expect(await statuses()).toEqual([404, 200]);
    process.kill(server.pid, "SIGUSR2");
    await server.waitForLine(/apiforge.config.ts: revision 3-/);
    expect(await statuses()).toEqual([200, 404]);
    await server.stop();
    const answered = server.stdout().matchAll(/"path":"\/a".*?"status":(\d+).*?"revision":"(\d)-/g);
    expect([...answered].map(([, status, revision]) => [status, revision])).toEqual([
      ["200", "1"],
      ["404", "2"],
      ["404", "2"],
      ["200", "3"],
    ]);
  });
});

describe("apiforge purge", () => {
  test("takes what it names out of the cache of the server that runs in the folder", async () => {
    const upstream = await startRawUpstream((socket, _request, number) => {
      const fields = "cache-control: max-age=600\r\ncache-tag: prices";
      socket.write(`HTTP/1.1 200 OK\r\n${fields}\r\ncontent-length: 1\r\n\r\n${number}`);
    });
    onTestFinished(() => upstream.close());
    const config = {
      upstreams: { files: { endpoints: [upstream.url] } },
      defaults: { auth: "none", cache: true },
    };
    const folder = await folderWith("apiforge.config.json", JSON.stringify(config));
    const env = { PORT: "0" };
    const server = await spawnServer({ entry: cliEntry, args: ["start"], cwd: folder, env });
    onTestFinished(() => server.kill9());
    const client = createHttpClient(server.url);
    onTestFinished(() => client.close());
    const body = async () => (await client.request({ path: "/a" })).body;
    expect([await body(), await body()]).toEqual(["1", "1"]);
    expect(await runCli(folder, "purge", "others", "--cache", "responses")).toEqual({
      exitCode: 0,
      stdout: "Purged from the cache responses.\n",
      stderr: "",
    });
    expect(await body()).toBe("1");
    expect((await runCli(folder, "purge", "prices")).stdout).toBe("Purged from every cache.\n");
    expect(await body()).toBe("2");
    await server.stop();
  });

  test("of nothing, or of a prefix that is no path, is refused", async () => {
    const folder = await folderWith("other.txt", "");
    for (const args of [[], ["--prefix", "a"]]) {
      const { exitCode, stderr } = await runCli(folder, "purge", ...args);
      expect(exitCode).toBe(2);
      expect(stderr).toContain("Usage: apiforge purge TAG");
    }
  });
});

describe("apiforge routes and explain", () => {
  const config = {
    upstreams: { files: { endpoints: ["http://127.0.0.1:9"] } },
    routes: [
      { path: "/open/*", upstream: "files", auth: "none", limits: { perMinute: 60 } },
      { path: "/staff", upstream: "files", methods: ["GET", "PUT"], roles: ["admin"] },
    ],
  };

  test("the route table has a line for what is served alike", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(config));
    const { exitCode, stdout } = await runCli(folder, "routes");
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`apiforge.config.json: 2 paths, 7 routes, 1 upstream

METHODS  PATH     TO              CALLER               LIMITS
all      /open/*  upstream files  anybody              60 per 1m by address
GET PUT  /staff   upstream files  a token, role admin  none
`);
  });

  test("a refusal is told with its stage, and ends with 1", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(config));
    const { exitCode, stdout } = await runCli(folder, "explain", "GET", "/staff");
    expect(exitCode).toBe(1);
    expect(stdout).toContain("routes[1]: GET /staff, to upstream files at http://127.0.0.1:9");
    expect(stdout).toMatch(/^× authenticate {2}a token/m);
    expect(stdout).toMatch(/\nRefused by authenticate with 401 missing_token: /);
  });

  test("what passes ends with 0", async () => {
    const folder = await folderWith("apiforge.config.json", JSON.stringify(config));
    const { exitCode, stdout } = await runCli(folder, "explain", "GET", "/open/x", "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: { outcome: "passes" },
      route: { at: "routes[0]" },
    });
  });
});

test("an unknown command is refused with what there is", async () => {
  const folder = await folderWith("other.txt", "");
  const { exitCode, stderr } = await runCli(folder, "strat");
  expect(exitCode).toBe(2);
  expect(stderr).toContain("There is no command strat");
});
