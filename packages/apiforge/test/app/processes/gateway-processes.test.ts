import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { createDatabase, createHttpClient, eventually, spawnServer } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, onTestFinished, test } from "vitest";

import { startRawUpstream } from "../../gateway/gateway-harness.ts";
import { cliEntry, folderWith, runCli } from "../declarative/cli-run.ts";

test("a gateway of two processes takes up its file in both, under one number, and serves it after a restart", async () => {
  const upstream = await startRawUpstream((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  });
  onTestFinished(() => upstream.close());
  const configuration = (path: string): string =>
    JSON.stringify({
      upstreams: { files: { endpoints: [upstream.url] } },
      routes: [{ path, upstream: "files", auth: "none" }],
    });
  const folder = await folderWith("apiforge.config.json", configuration("/a"));
  const file = join(folder, "apiforge.config.json");
  const database = await createDatabase(postgresUrl());
  onTestFinished(() => database[Symbol.asyncDispose]());
  const server = await spawnServer({
    entry: cliEntry,
    args: ["start", "--processes", "2"],
    cwd: folder,
    env: { PORT: "0", DATABASE_URL: database.url, APIFORGE_ACCESS_LOG: "all" },
  });
  onTestFinished(() => server.kill9());
  const replace = async (path: string): Promise<void> => {
    await writeFile(`${file}.new`, configuration(path));
    await rename(`${file}.new`, file);
  };
  const said = (line: RegExp): Promise<unknown> => server.waitForLine(line);

  await replace("/b");
  await said(/^apiforge.config.json: revision 2-\w+ is served by process 1$/);
  await said(/^apiforge.config.json: revision 2-\w+ is served by process 2$/);
  process.kill(server.pid, "SIGUSR2");
  await eventually("it is refused", () =>
    server.stderr().includes("Several processes do not go back"),
  );
  // Read by the new processes at their start, under the number that the old ones may have asked for already.
  await replace("/c");
  process.kill(server.pid, "SIGHUP");
  await said(/"all processes are replaced"/);
  const client = createHttpClient(server.url);
  onTestFinished(() => client.close());
  expect((await client.request({ path: "/b" })).status).toBe(404);
  expect((await client.request({ path: "/c" })).body).toBe("ok");
  const { body } = await client.request({ path: "/metrics" });
  const revisions = body.matchAll(
    /^apiforge_config_revision_info\{revision="(\d)-\w+",process="(\d)"\} 1$/gm,
  );
  expect([...revisions].map(([, number, by]) => [by, number])).toEqual([
    ["3", "3"],
    ["4", "3"],
  ]);
  await server.stop();
  expect(server.stdout()).toMatch(/"process":[34],"method":"GET","route":"\/c".*"revision":"3-/);
}, 60_000);

test("several processes on the embedded database are refused with what to do", async () => {
  const config = JSON.stringify({ upstreams: { files: { endpoints: ["http://127.0.0.1:9"] } } });
  const folder = await folderWith("apiforge.config.json", config);
  const { exitCode, stderr } = await runCli(folder, "start", "--processes", "2");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("Set DATABASE_URL to a PostgreSQL, or APIFORGE_PROCESSES to 1.");
});

test("a port that is taken ends the start", async () => {
  const taken = await startRawUpstream(() => undefined);
  onTestFinished(() => taken.close());
  const config = JSON.stringify({ upstreams: { files: { endpoints: [taken.url] } } });
  const folder = await folderWith("apiforge.config.json", config);
  const database = await createDatabase(postgresUrl());
  onTestFinished(() => database[Symbol.asyncDispose]());
  const started = spawnServer({
    entry: cliEntry,
    args: ["start", "--processes", "2"],
    cwd: folder,
    env: { PORT: new URL(taken.url).port, DATABASE_URL: database.url },
  });
  await expect(started).rejects.toThrow(/ended \(exit code 2\)[^]*EADDRINUSE/);
});

test("a number of processes that is none is told with all else that is wrong", async () => {
  const folder = await folderWith("apiforge.config.json", "{}");
  const { exitCode, stderr } = await runCli(folder, "start", "--processes", "many");
  expect(exitCode).toBe(1);
  expect(stderr).toContain("APIFORGE_PROCESSES cannot be used");
});
