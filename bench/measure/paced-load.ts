import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("paced-load.c", import.meta.url));

/** Equal GET requests at a rate that does not follow the answers. */
export interface PacedLoad {
  /** Of 127.0.0.1. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Of the moments of arrival: the same seed is the same moments. */
  readonly seed: number;
  /** The core that the load is pinned to. */
  readonly core: number;
}

/** Of the requests after the warm-up. Latencies are from the moment that a request was due to its answer read, in microseconds. */
export interface PacedResult {
  readonly requests: number;
  /** Answers without a 2xx, and requests without an answer. */
  readonly failed: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

/** Compiles `paced-load.c` with gcc into `directory`. @returns the program's path. */
export function compilePacedLoad(directory: string): string {
  const program = join(directory, "paced-load");
  execFileSync("gcc", ["-O2", "-Wall", "-o", program, source, "-lm"]);
  return program;
}

/**
 * Runs `program` of {@link compilePacedLoad}: requests arrive as those of many clients do that know nothing of each other,
 * over as many connections as there are. Throws when it fails.
 */
export async function runPacedLoad(program: string, load: PacedLoad): Promise<PacedResult> {
  const { host, port, pathname } = new URL(load.url);
  const fields = Object.entries({ Host: host, ...load.headers });
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const { connections, requestsPerSecond, warmUpSeconds, seconds, seed } = load;
  const numbers = [connections, requestsPerSecond, warmUpSeconds, seconds, seed].map(String);
  const child = spawn("taskset", ["-c", String(load.core), program, port, ...numbers], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(`GET ${pathname} HTTP/1.1\r\n${lines}\r\n`);
  const [output, [exitCode]] = await Promise.all([
    text(child.stdout),
    once(child, "close") as Promise<[number | null]>,
  ]);
  if (exitCode !== 0) throw new Error(`The paced load against ${load.url} ended with ${exitCode}`);
  return JSON.parse(output) as PacedResult;
}
