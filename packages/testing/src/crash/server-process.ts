import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { cleanEnvironment } from "../clean-environment.ts";
import { withinDeadline } from "../deadline.ts";
import {
  armedLine,
  armSignal,
  crashPointVariable,
  formatPausePoint,
  pausedLine,
  type PausePoint,
} from "./crash-point.ts";

/** What to run as a process under test. */
export interface ProcessOptions {
  /** Path of the program, a TypeScript source; workspace packages are loaded from their sources. */
  readonly entry: string;
  readonly args?: readonly string[];
  /** Added to a clean environment: nothing of the developer's shell reaches the process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; default: that of the tests. */
  readonly cwd?: string;
  /**
   * A program with its arguments that replaces itself by the command after it, such as
   * `["prlimit", "--fsize=100000", "--"]`: it takes limits or rights from the process.
   */
  readonly wrapper?: readonly string[];
  /** Where a server pauses once it serves, for {@link ServerProcess.waitForPause}. Default: nowhere. */
  readonly pauseAt?: PausePoint;
}

/** A process under test. It dies with the test process, also by SIGKILL, within a second or two. */
export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /**
   * Waits for a line on stdout, past or future, that matches `pattern`.
   * @throws Error with the process's output when it exits first, or after 60 seconds.
   */
  waitForLine(pattern: RegExp): Promise<RegExpExecArray>;
  /**
   * Waits until the process stands still at its `pauseAt` point: {@link kill9} then ends it exactly
   * there.
   * @throws Error as {@link waitForLine} does, and when no point was given.
   */
  waitForPause(): Promise<void>;
  /** Everything on stdout so far. */
  stdout(): string;
  /** Everything on stderr so far. */
  stderr(): string;
  /** SIGKILL; resolves when the process is gone. Does nothing when it already is. */
  kill9(): Promise<void>;
  /**
   * SIGTERM, then waits for the exit, and for all that it and its own processes have written.
   * @throws Error unless the process exits with 0 within 60 seconds.
   */
  stop(): Promise<void>;
}

/** A {@link ServerProcess} that serves. */
export interface ReadyServer extends ServerProcess {
  /** Where it serves, such as `http://127.0.0.1:4000`. */
  readonly url: string;
}

// A start takes 1.5 s of a processor, of which a busy machine gives little.
const deadlineMs = 60_000;
const readyPattern = /APIForge ready on (https?:\/\/\S+)/;

/**
 * Starts a server and waits until it serves.
 * @throws Error with the process's output when it exits or pauses first, or after 60 seconds.
 */
export async function spawnServer(options: ProcessOptions): Promise<ReadyServer> {
  const server = spawnProcess(options);
  try {
    const [, url = ""] = await server.waitForLine(readyPattern);
    if (options.pauseAt !== undefined) {
      process.kill(server.pid, armSignal);
      await server.waitForLine(new RegExp(`^${armedLine}$`));
    }
    return { ...server, url };
  } catch (error) {
    await server.kill9();
    throw error;
  }
}

/** Starts a process without waiting for anything. */
export function spawnProcess(options: ProcessOptions): ServerProcess {
  const { entry, args = [], env = {}, cwd, wrapper = [], pauseAt } = options;
  const pauseEnv = pauseAt === undefined ? {} : { [crashPointVariable]: formatPausePoint(pauseAt) };
  const [command = process.execPath, ...commandArgs] = [
    ...wrapper,
    process.execPath,
    "--conditions=@apiforge/source",
    `--import=${pathToFileURL(join(import.meta.dirname, "child.ts")).href}`,
    entry,
    ...args,
  ];
  const child = spawn(command, commandArgs, {
    cwd,
    env: cleanEnvironment({ ...env, ...pauseEnv }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command} could not be started`);
  const output = collectOutput(child);
  const exited = watchExit(child);

  async function kill9(): Promise<void> {
    child.kill("SIGKILL");
    await exited;
  }

  async function waitForLine(pattern: RegExp): Promise<RegExpExecArray> {
    const found = await withinDeadline(
      output.find(pattern),
      deadlineMs,
      () => `${entry} did not print ${String(pattern)}\n${output.describe()}`,
    );
    if (found !== undefined) return found;
    const ending = await exited;
    throw new Error(
      `${entry} ended (${ending}) before it printed ${String(pattern)}\n${output.describe()}`,
    );
  }

  async function waitForPause(): Promise<void> {
    if (pauseAt === undefined) throw new Error(`${entry} was started without pauseAt`);
    await waitForLine(new RegExp(`^${pausedLine(pauseAt.point)}$`));
  }

  async function stop(): Promise<void> {
    child.kill("SIGTERM");
    const ending = await withinDeadline(
      output.closed.then(() => exited),
      deadlineMs,
      () => `${entry} did not exit after SIGTERM\n${output.describe()}`,
    );
    if (ending !== "exit code 0") {
      throw new Error(`${entry} ended with ${ending} after SIGTERM\n${output.describe()}`);
    }
  }

  return {
    pid,
    waitForLine,
    waitForPause,
    stdout: output.stdout,
    stderr: output.stderr,
    kill9,
    stop,
    [Symbol.asyncDispose]: kill9,
  };
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

function watchExit(child: Child): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  child.once("exit", (code, signal) => {
    resolve(signal ?? `exit code ${code}`);
  });
  return promise;
}

interface Output {
  /** The first line that matches, or undefined when stdout is closed and none has. */
  find(pattern: RegExp): Promise<RegExpExecArray | undefined>;
  /** Resolves when both streams are closed, which may be after the exit. */
  readonly closed: Promise<void>;
  stdout(): string;
  stderr(): string;
  describe(): string;
}

function collectOutput(child: Child): Output {
  const lines: string[] = [];
  const errors: string[] = [];
  const checks = new Set<() => void>();
  let isClosed = false;
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  function checkAll(): void {
    for (const check of checks) check();
  }
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(line);
    checkAll();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  child.once("close", () => {
    isClosed = true;
    checkAll();
    close();
  });
  function match(pattern: RegExp): RegExpExecArray | undefined {
    for (const line of lines) {
      const found = pattern.exec(line);
      if (found !== null) return found;
    }
    return undefined;
  }
  function find(pattern: RegExp): Promise<RegExpExecArray | undefined> {
    const { promise, resolve } = Promise.withResolvers<RegExpExecArray | undefined>();
    const check = (): void => {
      const found = match(pattern);
      if (found === undefined && !isClosed) return;
      checks.delete(check);
      resolve(found);
    };
    checks.add(check);
    check();
    return promise;
  }
  const stdout = (): string => lines.join("\n");
  const stderr = (): string => errors.join("");
  const describe = (): string => `stdout:\n${stdout()}\nstderr:\n${stderr()}`;
  return { find, closed, stdout, stderr, describe };
}
