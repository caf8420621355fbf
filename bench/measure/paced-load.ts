import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { percentile } from "./statistics.ts";

const execute = promisify(execFile);

/** Equal GET requests at a rate that does not follow the answers. */
export interface PacedLoad {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly requestsPerSecond: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** The core that h2load is pinned to. */
  readonly core: number;
}

/** Of the requests after the warm-up. Latencies are from request sent to answer read, in microseconds. */
export interface PacedResult {
  readonly requests: number;
  /** Answers without a 2xx, and requests without an answer. */
  readonly failed: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
}

/** Clients start one after the other, so that their ticks are spread over the second. */
const clientsPerStep = 1;
const stepMs = 7;

/**
 * Runs h2load (Debian's `nghttp2-client`) over HTTP/1.1. Each connection sends at its share of the rate; one whose
 * answer is late sends late, which below saturation is rare. Throws when h2load is missing or logs no request.
 */
export async function runPacedLoad(load: PacedLoad): Promise<PacedResult> {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-paced-"));
  const log = join(folder, "requests");
  const lines = Object.entries(load.headers).flatMap(([name, value]) => [
    "-H",
    `${name}: ${value}`,
  ]);
  const requests = Math.ceil(load.requestsPerSecond * (load.warmUpSeconds + load.seconds));
  const h2load = [
    ...["h2load", "--h1", "-t1", `-c${load.connections}`, `-n${requests}`, `--log-file=${log}`],
    ...["-r", String(clientsPerStep), `--rate-period=${stepMs}ms`],
    ...[`--rps=${load.requestsPerSecond / load.connections}`, ...lines, load.url],
  ];
  try {
    await execute("taskset", ["-c", String(load.core), ...h2load]);
    return resultOf(readFileSync(log, "utf8"), load.warmUpSeconds);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A line of h2load's log is the request's start, its status and what it took, both times in microseconds. */
function resultOf(log: string, warmUpSeconds: number): PacedResult {
  const lines = log.split("\n").filter((line) => line.length > 0);
  const all = lines.map((line) => line.split("\t").map(Number));
  const startUs =
    all.reduce((first, [startedUs = 0]) => Math.min(first, startedUs), Infinity) +
    warmUpSeconds * 1e6;
  const answers = all.filter(([startedUs = 0]) => startedUs >= startUs);
  const endUs = answers.reduce((last, [startedUs = 0]) => Math.max(last, startedUs), 0);
  const isAnswered = ([, status = 0]: readonly number[]): boolean => status >= 200 && status < 300;
  const took = answers.filter(isAnswered).map(([, , us = 0]) => us);
  return {
    requests: answers.length,
    failed: answers.length - took.length,
    requestsPerSecond: answers.length / ((endUs - startUs) / 1e6),
    p50Us: percentile(took, 50),
    p99Us: percentile(took, 99),
    p999Us: percentile(took, 99.9),
  };
}
