import { durationMs, type Duration } from "../../kernel/index.ts";
import type { Schema, SchemaInput } from "../../schema/index.ts";
import type { JobDefinition } from "../definitions.ts";
import type { EnqueuedJob, Transaction } from "../transaction.ts";
import { parseCron, type CronTimes } from "./cron.ts";

const maxCatchUp = 100;

/** One instant of a schedule. */
export interface ScheduleTick {
  readonly schedule: string;
  /** When it was due, epoch milliseconds; its job may start later. */
  readonly fireAt: number;
}

/** What happens to ticks that no process was there for: see {@link ScheduleOptions.catchUp}. */
export type CatchUp = "none" | "latest" | { readonly atMost: number };

/** How a schedule behaves; `cron`, `job` and `input` have no default. */
export interface ScheduleOptions<S extends Schema> {
  /** Five fields, six with seconds first, or seven with years last: `0 9 * * MON-FRI`. */
  readonly cron: string;
  /** IANA name of the zone in which the expression is read. Default `UTC`. */
  readonly timeZone?: string;
  /** The job that each tick enqueues, in the commit that records the tick. */
  readonly job: JobDefinition<S>;
  /** The job's input, or what makes it of the tick. */
  readonly input: SchemaInput<S> | ((tick: ScheduleTick) => SchemaInput<S>);
  /**
   * Ticks found later than `grace`, because no process ran, are recorded as missed: all of them
   * with `none`, all but the latest with `latest`, all but the latest n (1 to 100) with
   * `{ atMost: n }`. Those fire late. Default `none`.
   */
  readonly catchUp?: CatchUp;
  /** How late a tick may be found and still count as on time. Default 1 minute. */
  readonly grace?: Duration;
  /** On whose behalf the jobs run. Default `system`. */
  readonly tenant?: string;
}

/** A job that runs at the ticks of a cron expression. */
export interface ScheduleDefinition {
  readonly name: string;
  readonly times: CronTimes;
  readonly jobName: string;
  readonly tenant: string;
  /** Late ticks that fire all the same. */
  readonly catchUp: number;
  readonly graceMs: number;
  /** Adds the job of one tick to a commit. */
  enqueue(tx: Transaction, tick: ScheduleTick): Promise<EnqueuedJob>;
}

/**
 * Declares a schedule. On however many processes it is declared, each tick enqueues its job once.
 * `name` is stored and stays the same across deployments; another `cron` or `timeZone` holds from
 * the start of the first process that has it.
 * @throws {RangeError} when `cron` never ticks or is no cron expression, `timeZone` is no time
 * zone, or `catchUp` is out of range.
 * @throws {TypeError} when `input` does not satisfy the job's schema.
 */
export function defineSchedule<S extends Schema>(
  name: string,
  options: ScheduleOptions<S>,
): ScheduleDefinition {
  const { job, input, tenant = "system" } = options;
  const inputOf = (tick: ScheduleTick): SchemaInput<S> =>
    isInputMaker<S>(input) ? input(tick) : input;
  if (!isInputMaker<S>(input)) requireInput(name, job, input);
  return {
    name,
    times: timesOf(name, options.cron, options.timeZone ?? "UTC"),
    jobName: job.name,
    tenant,
    catchUp: catchUpCount(name, options.catchUp ?? "none"),
    graceMs: durationMs(options.grace ?? "1m"),
    enqueue: (tx, tick) => tx.enqueue(job, inputOf(tick)),
  };
}

function isInputMaker<S extends Schema>(
  input: ScheduleOptions<S>["input"],
): input is (tick: ScheduleTick) => SchemaInput<S> {
  return typeof input === "function";
}

function timesOf(name: string, cron: string, timeZone: string): CronTimes {
  const times = named(name, () => parseCron(cron, timeZone));
  // From the epoch on: one whose last year is over must not keep the server from starting.
  if (times.after(0) !== null) return times;
  throw new RangeError(`Schedule ${name}: "${cron}" never ticks; name a date that exists`);
}

function catchUpCount(name: string, catchUp: CatchUp): number {
  if (catchUp === "none") return 0;
  if (catchUp === "latest") return 1;
  const { atMost } = catchUp;
  if (Number.isInteger(atMost) && atMost >= 1 && atMost <= maxCatchUp) return atMost;
  throw new RangeError(
    `Schedule ${name}: catchUp.atMost must be a whole number from 1 to ${maxCatchUp}, not ${atMost}`,
  );
}

function requireInput<S extends Schema>(name: string, job: JobDefinition<S>, input: unknown): void {
  const result = job.compiled.validate(input);
  if (result.ok) return;
  const issues = result.issues.map((issue) => `${issue.path || "value"}: ${issue.message}`);
  throw new TypeError(
    `Schedule ${name}: input does not satisfy the schema of job ${job.name}: ${issues.join("; ")}`,
  );
}

function named<T>(name: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw error instanceof RangeError
      ? new RangeError(`Schedule ${name}: ${error.message}`, { cause: error })
      : error;
  }
}
