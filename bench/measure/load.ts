import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const script = fileURLToPath(new URL("post.lua", import.meta.url));
const resting = fileURLToPath(new URL("resting.lua", import.meta.url));
const report = fileURLToPath(new URL("report.lua", import.meta.url));

/** One closed-loop load of POST requests, each with an Idempotency-Key of its own. */
export interface Load {
  /** Origin without a path, for example `http://127.0.0.1:4000`. */
  readonly origin: string;
  readonly path: string;
  readonly token: string;
  /** JSON text that every request carries. */
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
}

/** What wrk counted and measured. Latencies are from request sent to answer read, in microseconds. */
export interface LoadResult {
  /** Answers read, whatever their status. Up to `connections` more may be unread when the load ends. */
  readonly requests: number;
  readonly durationUs: number;
  /** Answers with a status above 399. */
  readonly non2xx: number;
  readonly connectErrors: number;
  readonly readErrors: number;
  readonly writeErrors: number;
  readonly timeouts: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly meanUs: number;
  readonly requestsPerSecond: number;
}

/**
 * Runs wrk with one thread against `load` and answers its counts. Throws when wrk is missing or
 * its output is not understood.
 */
export async function runLoad(load: Load): Promise<LoadResult> {
  const { stdout } = await execute(
    "wrk",
    [
      "-t1",
      `-c${load.connections}`,
      `-d${load.seconds}s`,
      "--timeout",
      "10s",
      "-s",
      script,
      load.origin,
    ],
    {
      env: {
        ...process.env,
        LOAD_REPORT: report,
        LOAD_KEY_PREFIX: `${randomBytes(8).toString("hex")}-`,
        LOAD_TOKEN: load.token,
        LOAD_PATH: load.path,
        LOAD_BODY: load.body,
      },
    },
  );
  return parseLoadResult(stdout);
}

/** One closed-loop load of equal GET requests. */
export interface GetLoad {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** The core that wrk is pinned to. */
  readonly core: number;
}

/** {@link runLoad} of GET requests. */
export async function runGetLoad(load: GetLoad): Promise<LoadResult> {
  const { url, headers, connections, seconds, core } = load;
  const lines = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const wrk = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", report, ...lines, url];
  const { stdout } = await execute("taskset", ["-c", String(core), ...wrk]);
  return parseLoadResult(stdout);
}

/** A load of equal GET requests whose connections rest between two of them. */
export interface RestingLoad {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly pauseMs: number;
}

/** {@link runGetLoad} at about `connections` requests in each `pauseMs`, on whatever core. */
export async function runRestingLoad(load: RestingLoad): Promise<LoadResult> {
  const { url, connections, seconds, pauseMs } = load;
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", resting, url];
  const env = { ...process.env, LOAD_REPORT: report, LOAD_PAUSE_MS: String(pauseMs) };
  const { stdout } = await execute("wrk", args, { env });
  return parseLoadResult(stdout);
}

/** How many requests of `result` got no 2xx: error answers, broken connections and time-outs. */
export function failures(result: LoadResult): number {
  return (
    result.non2xx + result.connectErrors + result.readErrors + result.writeErrors + result.timeouts
  );
}

function parseLoadResult(output: string): LoadResult {
  const line = output.split("\n").find((text) => text.startsWith("LOAD_RESULT "));
  if (line === undefined) throw new Error(`wrk printed no result:\n${output}`);
  const parsed: Omit<LoadResult, "requestsPerSecond"> = JSON.parse(
    line.slice("LOAD_RESULT ".length),
  );
  return { ...parsed, requestsPerSecond: parsed.requests / (parsed.durationUs / 1e6) };
}
