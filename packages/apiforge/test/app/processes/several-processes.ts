import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import {
  createDeployment,
  createHttpClient,
  eventually,
  type Deployment,
  type HttpClient,
  type ReadyServer,
} from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { onTestFinished } from "vitest";

const entry = fileURLToPath(new URL("./servers/several.ts", import.meta.url));

/** A server of two processes on PostgreSQL. */
export interface Several {
  readonly deployment: Deployment;
  readonly server: ReadyServer;
  /** Processes that have said that they serve, in the order in which they did. */
  pids(): number[];
  /** Lines of the log with this message. */
  logged(message: string): Record<string, unknown>[];
  /** Has new processes end before they serve, or start again. */
  setBroken(isBroken: boolean): void;
}

export async function startSeveral(env: Readonly<Record<string, string>> = {}): Promise<Several> {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-several-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const broken = join(folder, "broken");
  const deployment = await createDeployment({
    store: "postgres",
    postgresUrl: postgresUrl(),
    entry,
    env: { APIFORGE_PROCESSES: "2", APIFORGE_LOG_LEVEL: "info", BROKEN: broken, ...env },
  });
  onTestFinished(() => deployment[Symbol.asyncDispose]());
  const server = await deployment.start();
  const logged = (message: string) =>
    server
      .stdout()
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === message);
  const pids = (): number[] => logged("the process serves").map(({ pid }) => Number(pid));
  // Lines of the log may come after the word that it is ready.
  await eventually("both are named", () => pids().length === 2);
  return {
    deployment,
    server,
    pids,
    logged,
    setBroken(isBroken) {
      if (isBroken) writeFileSync(broken, "");
      else rmSync(broken);
    },
  };
}

/** Clients of one connection each, until each of `pids` answers one of them. */
export async function clientOfEach(url: string, pids: readonly number[]): Promise<HttpClient[]> {
  const found = new Map<number, HttpClient>();
  await eventually(`each of ${pids.join()} answers`, async () => {
    const client = createHttpClient(url);
    onTestFinished(() => client.close());
    const { pid } = (await client.request({ path: "/who" })).json() as { pid: number };
    if (!found.has(pid)) found.set(pid, client);
    return pids.every((wanted) => found.has(wanted));
  });
  return pids.flatMap((pid) => found.get(pid) ?? []);
}

/** Whether a process is there. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
