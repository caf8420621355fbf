import { spawn, type ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { cleanEnvironment } from "../clean-environment.ts";
import { withinDeadline } from "../deadline.ts";
import type {
  ChildCommand,
  SupervisorReply,
  SupervisorRequest,
  SupervisorSettings,
} from "./protocol.ts";

type Request = SupervisorRequest extends infer Each
  ? Each extends SupervisorRequest
    ? Omit<Each, "id">
    : never
  : never;

const requestDeadlineMs = 60_000;

/**
 * A server process with a temporary directory of its own, both of which are gone when this process
 * is gone, also after SIGKILL. One child at a time; calls are made one after the other.
 */
export class SupervisedProcess {
  readonly #supervisor: ChildProcessByStdio<Writable, Readable, null>;
  readonly #waiting = new Map<number, PromiseWithResolvers<string>>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #directory = "";

  private constructor(settings: SupervisorSettings) {
    const program = join(import.meta.dirname, "supervisor.ts");
    this.#supervisor = spawn(process.execPath, [program, JSON.stringify(settings)], {
      detached: true,
      env: cleanEnvironment(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#exited = this.#watchExit();
    // A request that cannot be written is answered by the exit.
    this.#supervisor.stdin.on("error", () => undefined);
    createInterface({ input: this.#supervisor.stdout }).on("line", (line) => {
      this.#settle(JSON.parse(line) as SupervisorReply);
    });
  }

  /**
   * Starts the supervisor and makes the directory; no child runs yet.
   * @throws Error when the supervisor does not come up.
   */
  static async launch(settings: SupervisorSettings): Promise<SupervisedProcess> {
    const supervised = new SupervisedProcess(settings);
    supervised.#directory = await supervised.#reply(0, "start the supervisor");
    return supervised;
  }

  /** The directory of the child: its working directory, mode 0700, owned by its user. */
  get directory(): string {
    return this.#directory;
  }

  /** File that receives what every child writes to stdout and stderr. */
  get logFile(): string {
    return join(this.#directory, "server.log");
  }

  /**
   * Runs a program to its end.
   * @throws Error with the end of its output unless it exits with 0.
   */
  async run(child: ChildCommand): Promise<void> {
    await this.#request({ op: "run", child });
  }

  /**
   * Starts the server and waits until its output contains `readyText`. Returns its process id.
   * @throws Error with the end of its output when it ends first.
   */
  async start(child: ChildCommand, readyText: string): Promise<number> {
    return Number(await this.#request({ op: "start", child, readyText }));
  }

  /**
   * Sends `signal` to the child and waits until it and every process that shares its output are
   * gone. Does nothing when no child runs.
   */
  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#request({ op: "signal", signal });
  }

  /** Ends the child and the supervisor and removes the directory. A second call does nothing. */
  async close(): Promise<void> {
    this.#supervisor.stdin.end();
    await withinDeadline(this.#exited, requestDeadlineMs, () => "The supervisor did not exit");
  }

  #watchExit(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const finish = (reason: string): void => {
      for (const { reject } of this.#waiting.values()) reject(new Error(reason));
      this.#waiting.clear();
      resolve();
    };
    this.#supervisor.once("error", (error) => {
      finish(`The supervisor could not be started: ${error.message}`);
    });
    this.#supervisor.once("close", (code, signal) => {
      finish(`The supervisor is gone (${signal ?? `exit code ${code}`})`);
    });
    return promise;
  }

  #request(request: Request): Promise<string> {
    const id = this.#nextId;
    this.#nextId += 1;
    const reply = this.#reply(id, request.op);
    this.#supervisor.stdin.write(`${JSON.stringify({ id, ...request })}\n`);
    return reply;
  }

  #reply(id: number, what: string): Promise<string> {
    const waiting = Promise.withResolvers<string>();
    this.#waiting.set(id, waiting);
    if (this.#supervisor.exitCode !== null || this.#supervisor.signalCode !== null) {
      waiting.reject(new Error(`Cannot ${what}: the supervisor is gone`));
    }
    return withinDeadline(
      waiting.promise,
      requestDeadlineMs,
      () => `No answer to ${what}; see ${this.logFile}`,
    ).finally(() => this.#waiting.delete(id));
  }

  #settle({ id, outcome, detail }: SupervisorReply): void {
    const waiting = this.#waiting.get(id);
    if (outcome === "done") waiting?.resolve(detail);
    else waiting?.reject(new Error(detail));
  }
}
