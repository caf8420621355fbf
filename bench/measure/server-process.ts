import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";

const startTimeoutMs = 30_000;
const stopTimeoutMs = 20_000;
const tailCharacters = 4_096;
const clockTicksPerSecond = 100;
const pageBytes = 4_096;

/** How to start a Node server as a child process. */
export interface ServerCommand {
  /** Path of the TypeScript file that serves. */
  readonly entry: string;
  readonly environment: Readonly<Record<string, string>>;
  /** The server is ready once its output contains this text. */
  readonly readyText: string;
}

/** CPU time and memory of one process so far. */
export interface ProcessUsage {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** A server in a child process. */
export interface ServerProcess {
  readonly child: ChildProcess;
  /** When the process was spawned, on the clock of `performance.now()`. */
  readonly spawnedAt: number;
  /** What the server had printed when it was ready. */
  readonly greeting: string;
  /** Milliseconds from spawn to the ready text. */
  readonly readyAfterMs: number;
  usage(): ProcessUsage;
  /** Sends SIGTERM and waits for the exit; a server that does not leave is killed and reported by a throw. */
  stop(): Promise<void>;
}

/** Starts a server with this Node and waits for its ready line; throws with the server's output when it ends before. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const spawnedAt = performance.now();
  const child = spawn(process.execPath, ["--conditions=@apiforge/source", command.entry], {
    env: { ...process.env, NODE_ENV: "production", ...command.environment },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const output = keepOutput(child);
  await untilReady(child, command, output);
  return {
    child,
    spawnedAt,
    greeting: output.tail,
    readyAfterMs: performance.now() - spawnedAt,
    usage: () => processUsage(requirePid(child)),
    stop: () => stopProcess(child, command.entry, output),
  };
}

/** CPU time and resident memory of process `pid`, from /proc (Linux). */
export function processUsage(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in parentheses and may hold spaces; count from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return {
    cpuMs: (ticks * 1_000) / clockTicksPerSecond,
    residentBytes: Number(fields[21]) * pageBytes,
  };
}

/** A port of 127.0.0.1 that was free a moment ago, for servers that do not print the one they got. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  if (address === null || typeof address === "string") throw new Error("No TCP address.");
  probe.close();
  await once(probe, "close");
  return address.port;
}

/** The end of what a server printed: enough to say why it failed, never a log of a whole run. */
interface Output {
  tail: string;
  onText: (() => void) | undefined;
}

function keepOutput(child: ChildProcess): Output {
  const output: Output = { tail: "", onText: undefined };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output.tail = (output.tail + text).slice(-tailCharacters);
      output.onText?.();
    });
  }
  return output;
}

async function untilReady(child: ChildProcess, command: ServerCommand, output: Output) {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (reason: string) => reject(new Error(`${command.entry} ${reason}:\n${output.tail}`));
  const onExit = (code: number | null, signal: string | null) =>
    fail(`ended (${code ?? signal}) before it was ready`);
  const timer = setTimeout(() => fail("was not ready in time"), startTimeoutMs);
  child.once("exit", onExit);
  output.onText = () => {
    if (output.tail.includes(command.readyText)) resolve();
  };
  try {
    await promise;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(timer);
    output.onText = undefined;
    child.off("exit", onExit);
  }
}

async function stopProcess(child: ChildProcess, entry: string, output: Output): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) {
    throw new Error(`${entry} had ended on its own:\n${output.tail}`);
  }
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const left = await Promise.race([exited, delay(stopTimeoutMs, undefined, { ref: false })]);
  if (left !== undefined) return;
  child.kill("SIGKILL");
  await exited;
  throw new Error(`${entry} did not leave on SIGTERM within ${stopTimeoutMs} ms.`);
}

function requirePid(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("The server process has no pid.");
  return child.pid;
}
