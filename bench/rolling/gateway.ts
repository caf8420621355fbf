import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createDatabase } from "@apiforge/testing";

import { treeUsage } from "../measure/process-tree.ts";
import type { ProcessUsage } from "../measure/server-process.ts";

const cli = fileURLToPath(new URL("../../packages/apiforge/src/cli/apiforge.ts", import.meta.url));

/** A gateway of one or more processes on a database of its own. */
export interface Gateway {
  readonly url: string;
  /** Of the supervisor and its processes. */
  usage(): ProcessUsage;
  /** How many requests each process has answered, by its number; one that is alone has none. */
  answered(): Promise<ReadonlyMap<string, number>>;
  /** Replaces all processes; resolves when that is over. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a gateway with one limited route to `upstreamUrl`, not pinned to any core. */
export async function startGateway(
  upstreamUrl: string,
  postgresUrl: string,
  environment: Readonly<Record<string, string>>,
): Promise<Gateway> {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-rolling-"));
  const database = await createDatabase(postgresUrl);
  const config = {
    upstreams: { up: { endpoints: [upstreamUrl] } },
    defaults: { auth: "none" },
    limits: { everywhere: [{ name: "all", limit: 500_000_000, per: "1m" }] },
    routes: [{ path: "/products/*", upstream: "up" }],
  };
  writeFileSync(join(folder, "apiforge.config.json"), JSON.stringify(config));
  const child = spawn(process.execPath, ["--conditions=@apiforge/source", cli, "start"], {
    cwd: folder,
    env: {
      ...process.env,
      ...environment,
      NODE_ENV: "production",
      PORT: "0",
      DATABASE_URL: database.url,
      APIFORGE_DATA_DIR: folder,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const said = async (pattern: RegExp, from: number): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(output.slice(from));
      if (found !== null) return found;
      if (child.exitCode !== null) throw new Error(`The gateway has ended:\n${output}`);
      await once(child.stdout, "data");
    }
  };
  const [, url = ""] = await said(/APIForge ready on (\S+)/, 0);
  return {
    url,
    usage: () => treeUsage([child.pid ?? 0]),
    async answered() {
      const text = await (await fetch(`${url}/metrics`)).text();
      const lines = text.matchAll(
        /^apiforge_http_requests_total\{method="GET",route="\/products\/\*",status="2xx",process="(\d+)"\} (\d+)$/gm,
      );
      return new Map([...lines].map(([, number = "", count]) => [number, Number(count)]));
    },
    async restart() {
      const from = output.length;
      child.kill("SIGHUP");
      await said(/all processes are replaced/, from);
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
      await database[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
