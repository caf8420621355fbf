import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { availableParallelism, cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { percentile } from "./statistics.ts";

const fsyncSamples = 200;
const fsyncWriteBytes = 65_536;

/** Where a result was measured: without it the numbers mean nothing. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  /** fdatasync after an append of 64 KiB on the file system that the stores under test use. */
  readonly fdatasyncP50Us: number;
  readonly fdatasyncP99Us: number;
}

/** Describes this machine; takes well under a second. `directory` is where the stores live. */
export function describeMachine(directory: string = tmpdir()): Machine {
  const samples = measureFdatasync(directory);
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: release(),
    fdatasyncP50Us: percentile(samples, 50),
    fdatasyncP99Us: percentile(samples, 99),
  };
}

function measureFdatasync(directory: string): number[] {
  const folder = mkdtempSync(join(directory, "apiforge-fsync-"));
  const file = openSync(join(folder, "probe"), "w");
  const bytes = Buffer.alloc(fsyncWriteBytes, 1);
  const samples: number[] = [];
  try {
    for (let round = 0; round < fsyncSamples; round++) {
      writeSync(file, bytes);
      const startedAt = process.hrtime.bigint();
      fdatasyncSync(file);
      samples.push(Number(process.hrtime.bigint() - startedAt) / 1e3);
    }
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
  return samples;
}
