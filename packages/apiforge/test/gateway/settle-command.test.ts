import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDeployment, storeNames, type Deployment } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { upstreamKey } from "../../src/durable/index.ts";
import { silentLog } from "../../src/kernel/index.ts";
import type { Store, UpstreamCallAsk } from "../../src/store/index.ts";
import { openPostgresStore } from "../../src/store/postgres/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/index.ts";
import { runCli, type CliRun } from "../app/declarative/cli-run.ts";

const leaseMs = 600_000;

describe.for(storeNames)("calls of upstreams on the command line, %s", (name) => {
  let deployment: Deployment;
  let store: Store;

  beforeEach(async () => {
    deployment = await createDeployment({ store: name, postgresUrl: postgresUrl() });
    store = await open();
  });
  afterEach(async () => {
    await store.close();
    await deployment[Symbol.asyncDispose]();
  });

  /** As a server has it. */
  function open(): Promise<Store> {
    const options = { migrations: [], transactionLimitMs: 5_000, log: silentLog };
    return name === "sqlite"
      ? openSqliteStore({ ...options, path: deployment.database })
      : openPostgresStore({ ...options, url: deployment.database, poolSize: 2 });
  }

  function command(...args: readonly string[]): Promise<CliRun> {
    const { dataDir, database } = deployment;
    const where = name === "sqlite" ? {} : { DATABASE_URL: database };
    return runCli({ folder: dataDir, env: { APIFORGE_DATA_DIR: dataDir, ...where } }, ...args);
  }

  /** The same, where one process has the data: with the server stopped. */
  async function settle(...args: readonly string[]): Promise<CliRun> {
    if (name === "postgres") return command("settle", ...args);
    await store.close();
    const run = await command("settle", ...args);
    store = await open();
    return run;
  }

  function ask(key: string): UpstreamCallAsk {
    const digest = Buffer.alloc(16, key);
    return { digest, fingerprint: digest, key, leaseMs, mayRepeat: false };
  }

  async function lose(key: string): Promise<string> {
    const { digest } = ask(key);
    await store.upstreamCalls.claim(ask(key));
    await store.upstreamCalls.giveUp({ digest, fence: 1 });
    return upstreamKey(digest);
  }

  test("the unknown ones are listed beside the server, and settled one by one", async () => {
    const [done, undone] = [await lose("done"), await lose("undone")];
    await store.upstreamCalls.claim(ask("way"));
    const listed = JSON.parse((await command("upstream-calls", "--json")).stdout) as object[];
    const at = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(listed).toEqual([
      { upstreamKey: done, key: "done", standing: "unknown", times: 1, createdAt: at },
      { upstreamKey: undone, key: "undone", standing: "unknown", times: 1, createdAt: at },
      expect.objectContaining({ key: "way", standing: "in_flight" }),
    ]);
    const { stdout } = await command("upstream-calls", "--unknown");
    expect(stdout).toMatch(new RegExp(`^${done}  done +unknown +once +\\d{4}-`, "m"));
    expect(stdout).not.toContain("way");

    const body = join(deployment.dataDir, "found.json");
    await writeFile(body, '{"id":7}');
    expect(await settle(done, "--answer", "201", "--body", body)).toEqual({
      exitCode: 0,
      stdout: "settled: repeats get this answer\n",
      stderr: "",
    });
    expect(await store.upstreamCalls.claim(ask("done"))).toMatchObject({
      outcome: "answered",
      answer: { status: 201, fields: ["content-type", "application/json"] },
    });
    expect((await settle(undone, "--nothing-done")).stdout).toBe(
      "settled: the next request with its key is sent\n",
    );
    expect(await store.upstreamCalls.claim(ask("undone"))).toMatchObject({ outcome: "claimed" });
    expect(await settle(done, "--nothing-done")).toMatchObject({
      exitCode: 1,
      stderr: "The call is answered; nothing was changed\n",
    });
    expect((await command("upstream-calls", "--unknown")).stdout).not.toContain(done);
  });

  test("what cannot be settled is said, and changes nothing", async () => {
    const key = await lose("lost");
    const none = upstreamKey(Buffer.alloc(16));
    for (const [args, message] of [
      [[], "Name one call"],
      [[key, key, "--nothing-done"], "Name one call"],
      [[key], "Say --answer STATUS, or --nothing-done"],
      [[key, "--answer", "200", "--nothing-done"], "Say --answer STATUS, or --nothing-done"],
      [[key, "--answer", "502"], "--answer is a status from 200 to 499"],
      [["lost", "--nothing-done"], '"lost" is no key of a call'],
    ] as const) {
      const run = await command("settle", ...args);
      expect(run).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(message) });
    }
    expect(await settle(none, "--nothing-done")).toMatchObject({
      exitCode: 1,
      stderr: "There is no such call; nothing was changed\n",
    });
    if (store.capabilities.singleProcess) {
      const run = await command("settle", key, "--nothing-done");
      expect(run).toMatchObject({
        exitCode: 2,
        stderr: expect.stringContaining("Stop that process"),
      });
    }
    expect(await store.upstreamCalls.claim(ask("lost"))).toMatchObject({ outcome: "unknown" });
  });
});
