import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { startUpstream } from "../gateway/upstream.ts";
import { failures, runGetLoad } from "../measure/load.ts";

/*
 * A gateway whose configuration file is replaced all the time while wrk loads it: how many requests fail.
 * The gateway is pinned to core 0; wrk and the upstream (nginx) to core 1.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    "change-every-ms": { type: "string", default: "250" },
  },
});
const seconds = Number(values.seconds);
const changeEveryMs = Number(values["change-every-ms"]);

const cli = fileURLToPath(new URL("../../packages/apiforge/src/cli/apiforge.ts", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "apiforge-reload-"));
const file = join(folder, "apiforge.config.json");
const upstream = await startUpstream(folder, 1);

/** Of two upstreams on one endpoint, one is another one in each configuration; each tenth cannot be served. */
function write(number: number): void {
  const endpoints = [upstream.url];
  const config = {
    upstreams: { stays: { endpoints }, changes: { endpoints, connections: 64 + number } },
    defaults: { auth: "none" },
    limits: { everywhere: [{ name: "all", limit: 500_000_000 + number, per: "1m" }] },
    routes: [{ path: "/products/*", upstream: number % 10 === 9 ? "gone" : "changes" }],
  };
  writeFileSync(`${file}.new`, JSON.stringify(config));
  renameSync(`${file}.new`, file);
}

write(0);
const gateway = spawn(
  "taskset",
  ["-c", "0", process.execPath, "--conditions=@apiforge/source", cli, "start"],
  {
    cwd: folder,
    env: { ...process.env, PORT: "0", APIFORGE_DATA_DIR: folder, APIFORGE_LOG_LEVEL: "silent" },
    stdio: ["ignore", "pipe", "pipe"],
  },
);
let output = "";
let refusals = "";
gateway.stdout.on("data", (bytes: Buffer) => (output += bytes.toString()));
gateway.stderr.on("data", (bytes: Buffer) => (refusals += bytes.toString()));
while (!/APIForge ready on (\S+)/.test(output)) await once(gateway.stdout, "data");
const url = /APIForge ready on (\S+)/.exec(output)?.[1] ?? "";

const load = runGetLoad({
  url: `${url}/products/42`,
  headers: {},
  connections: 64,
  seconds,
  core: 1,
});
const over = new AbortController();
const done = load.finally(() => over.abort());
for (let number = 1; !over.signal.aborted; number += 1) {
  await delay(changeEveryMs);
  write(number);
}
const result = await done;
const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;
console.log(
  JSON.stringify(
    {
      requests: result.requests,
      requestsPerSecond: Math.round(result.requestsPerSecond),
      failed: failures(result),
      p50Ms: result.p50Us / 1_000,
      p99Ms: result.p99Us / 1_000,
      maxMs: result.maxUs / 1_000,
      revisions: count(output, /revision \d+-\w+ is served/g),
      refused: count(refusals, /1 problem$/gm),
    },
    null,
    2,
  ),
);
gateway.kill("SIGTERM");
await once(gateway, "exit");
await upstream.stop();
rmSync(folder, { recursive: true });
