/*
 * A program, not a module: keeps one server process and its directory for a test process, and ends
 * both when the test process is gone. However that happens, SIGKILL included, the kernel closes the
 * pipe on stdin. It runs in a session of its own, so that an interrupt typed at the terminal reaches
 * the tests but not the server underneath them.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { chownSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type {
  ChildCommand,
  SupervisorReply,
  SupervisorRequest,
  SupervisorSettings,
} from "./protocol.ts";

interface RunningChild {
  readonly process: ChildProcessByStdio<null, Readable, Readable>;
  /** How it ended; resolves when the last process that holds its output is gone too. */
  readonly closed: Promise<string>;
  /** The last part of what it wrote. */
  output: string;
  onOutput: () => void;
}

const keptOutputLength = 8192;
const stopDeadlineMs = 10_000;

const settings = JSON.parse(process.argv[2] ?? "") as SupervisorSettings;
const directory = makeDirectory();
const logFile = openSync(join(directory, "server.log"), "a", 0o600);
let current: RunningChild | undefined;
let stopping = false;

function makeDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), `${settings.name}-`));
  if (settings.user !== undefined) chownSync(path, settings.user.uid, settings.user.gid);
  return path;
}

function launch({ command, args, env }: ChildCommand): RunningChild {
  if (current !== undefined) throw new Error(`${command} not started: another child is running`);
  const { promise: closed, resolve } = Promise.withResolvers<string>();
  const child = spawn(command, args, {
    cwd: directory,
    env,
    ...settings.user,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const running: RunningChild = { process: child, closed, output: "", onOutput: () => undefined };
  child.once("error", (error) => {
    resolve(error.message);
  });
  child.once("close", (code, signal) => {
    resolve(signal ?? `exit code ${code}`);
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      writeSync(logFile, chunk);
      running.output += chunk.toString("utf8");
      running.onOutput();
      running.output = running.output.slice(-keptOutputLength);
    });
  }
  current = running;
  void closed.then(() => {
    if (current === running) current = undefined;
  });
  return running;
}

async function run(command: ChildCommand): Promise<string> {
  const child = launch(command);
  const ending = await child.closed;
  if (ending !== "exit code 0") {
    throw new Error(`${command.command} failed (${ending}):\n${child.output}`);
  }
  return "";
}

async function start(command: ChildCommand, readyText: string): Promise<string> {
  const child = launch(command);
  const { promise: ready, resolve } = Promise.withResolvers<"ready">();
  child.onOutput = () => {
    if (child.output.includes(readyText)) resolve("ready");
  };
  const first = await Promise.race([ready, child.closed]);
  if (first !== "ready") {
    throw new Error(`${command.command} ended (${first}) before it was ready:\n${child.output}`);
  }
  return String(child.process.pid);
}

async function signal(name: NodeJS.Signals): Promise<string> {
  const child = current;
  if (child === undefined) return "";
  child.process.kill(name);
  return child.closed;
}

function perform(request: SupervisorRequest): Promise<string> {
  switch (request.op) {
    case "run":
      return run(request.child);
    case "start":
      return start(request.child, request.readyText);
    case "signal":
      return signal(request.signal);
  }
}

function reply(message: SupervisorReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function answer(request: SupervisorRequest): Promise<void> {
  try {
    reply({ id: request.id, outcome: "done", detail: await perform(request) });
  } catch (error) {
    reply({
      id: request.id,
      outcome: "failed",
      detail: error instanceof Error ? error.message : "",
    });
  }
}

async function endChild(child: RunningChild): Promise<void> {
  child.process.kill(settings.stopSignal);
  const { promise: givenUp, resolve } = Promise.withResolvers<string>();
  const timers = [
    setTimeout(() => child.process.kill("SIGKILL"), stopDeadlineMs),
    setTimeout(() => {
      resolve("given up");
    }, 2 * stopDeadlineMs),
  ];
  await Promise.race([child.closed, givenUp]);
  for (const timer of timers) clearTimeout(timer);
}

async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (current !== undefined) await endChild(current);
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  process.exit(0);
}

// Nobody reads any more once the tests are gone; what is left to do does not need them.
process.stdout.on("error", () => undefined);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => void stop());
createInterface({ input: process.stdin })
  .on("line", (line) => void answer(JSON.parse(line) as SupervisorRequest))
  .on("close", () => void stop());
reply({ id: 0, outcome: "done", detail: directory });
