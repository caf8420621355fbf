import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { treeUsage } from "../measure/process-tree.ts";
import { freePort, type ProcessUsage } from "../measure/server-process.ts";

/** A running server. */
export interface Program {
  readonly url: string;
  /** Of it and the workers that it has started. */
  usage(): ProcessUsage;
  stop(): Promise<void>;
}

/** How a server that listens on a given port is started. */
export interface ProgramPlan {
  readonly command: readonly string[];
  /** Written into its folder first, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
}

const startTimeoutMs = 20_000;
const lookMs = 50;

/** Starts what `plan` says, pinned to `core`; resolves when it accepts connections. */
export async function startProgram(
  core: number,
  name: string,
  folder: string,
  plan: (port: number) => ProgramPlan,
): Promise<Program> {
  const port = await freePort();
  const { command, files = {}, environment = {} } = plan(port);
  for (const file in files) writeFileSync(join(folder, file), files[file] ?? "");
  const child = spawn("taskset", ["-c", String(core), ...command], {
    env: { ...process.env, NODE_ENV: "production", ...environment },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  const stopAtMs = performance.now() + startTimeoutMs;
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`${name} ended before it served`);
    if (performance.now() > stopAtMs) {
      await stop();
      throw new Error(`${name} did not serve in time`);
    }
    await delay(lookMs);
  }
  return { url: `http://127.0.0.1:${port}`, usage: () => treeUsage([child.pid ?? 0]), stop };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
