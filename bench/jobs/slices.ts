import { isDeepStrictEqual } from "node:util";
import { readResult, writeResult } from "../measure/results.ts";
import type { JobRun } from "./summary.ts";

/** What one start of the program asked, and of which machine. */
export interface JobSlice {
  readonly startedAt: string;
  readonly settings: object;
  readonly machine: object;
}

/** What all slices of a file have in common. */
export interface JobSetting {
  readonly postgresSettings: object;
  readonly versions: object;
}

/** The content of `results/<date>-jobs.json`. */
export interface JobResult extends JobSetting {
  readonly durability: Readonly<Record<string, string>>;
  readonly slices: readonly JobSlice[];
  /** `slice` is the index into `slices`. */
  readonly runs: readonly (JobRun & { readonly slice: number })[];
}

/** One start of the program. */
export interface NewSlice {
  readonly setting: JobSetting;
  readonly durability: Readonly<Record<string, string>>;
  readonly slice: JobSlice;
  readonly runs: readonly JobRun[];
}

/**
 * Writes the day's file; with `adds` the slice joins those that are in it.
 * Throws when these were measured with other versions or settings of PostgreSQL.
 */
export function writeSlice(added: NewSlice, adds: boolean): { result: JobResult; file: string } {
  // The file is one that this function wrote.
  const earlier = adds ? (readResult("jobs") as JobResult | undefined) : undefined;
  const result =
    earlier === undefined ? joined(empty(added.setting), added) : joined(earlier, added);
  return { result, file: writeResult("jobs", result) };
}

function empty(setting: JobSetting): JobResult {
  return { ...setting, durability: {}, slices: [], runs: [] };
}

function joined(earlier: JobResult, { setting, durability, slice, runs }: NewSlice): JobResult {
  const { postgresSettings, versions } = earlier;
  if (!isDeepStrictEqual({ postgresSettings, versions }, setting))
    throw new Error("The day's file was measured with other versions or settings.");
  return {
    ...setting,
    durability: { ...earlier.durability, ...durability },
    slices: [...earlier.slices, slice],
    runs: [...earlier.runs, ...runs.map((run) => ({ ...run, slice: earlier.slices.length }))],
  };
}
