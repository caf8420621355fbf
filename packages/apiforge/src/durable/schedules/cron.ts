import { Cron } from "croner";

/** The instants of a cron expression in a time zone, epoch milliseconds. */
export interface CronTimes {
  readonly cron: string;
  readonly timeZone: string;
  /** The first tick after `at`; null when there is none. */
  after(at: number): number | null;
  /** The last `count` ticks up to and including `at`, latest first. */
  latest(count: number, at: number): readonly number[];
}

/**
 * Reads a cron expression of 5 fields, 6 with seconds first, or 7 with years last. A fixed local
 * time that a change of the clock skips ticks right after the gap, one that occurs twice ticks the
 * first time; expressions with `*` or steps follow the real time through both.
 * @throws {RangeError} naming what is wrong with the expression or the time zone.
 */
export function parseCron(cron: string, timeZone: string): CronTimes {
  requireTimeZone(timeZone);
  const parsed = parse(cron, timeZone);
  // The library also takes one date for a pattern.
  if (parsed.getOnce() !== null) throw notCron(cron, "it is a date");
  return {
    cron,
    timeZone,
    after: (at) => parsed.nextRun(new Date(at))?.getTime() ?? null,
    latest: (count, at) =>
      parsed.previousRuns(count, new Date(at + 1)).map((date) => date.getTime()),
  };
}

function parse(cron: string, timeZone: string): Cron {
  try {
    return new Cron(cron, { timezone: timeZone, fixedTimeRule: "no-wildcard" });
  } catch (error) {
    throw notCron(cron, error instanceof Error ? error.message : String(error));
  }
}

function notCron(cron: string, reason: string): RangeError {
  return new RangeError(
    `"${cron}" is not a cron expression (${reason}); write for example "0 9 * * MON-FRI"`,
  );
}

function requireTimeZone(timeZone: string): void {
  try {
    new Intl.DateTimeFormat("en", { timeZone }).format();
  } catch {
    throw new RangeError(`"${timeZone}" is not a time zone; write for example "Europe/Berlin"`);
  }
}
