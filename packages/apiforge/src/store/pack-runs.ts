import type { NewJob } from "./contract.ts";

/** Jobs from which a pack pays: one or two rows and two more later on in place of a row each. */
export const fewestPacked = 8;
/** Most jobs of a pack: what a worker claims ahead. */
const mostPacked = 500;
/** Most characters of payload in a pack, so that reading one job never reads megabytes. */
const mostChars = 262_144;

/** True for a job that nothing but its turn decides about. */
function isPlain({ delayMs, dedupeKey, lane, deadlineMs }: NewJob): boolean {
  return delayMs <= 0 && dedupeKey === null && lane === null && deadlineMs === null;
}

/** True when both have the same of everything that a pack holds once. */
function isSameKind(one: NewJob, other: NewJob): boolean {
  return (
    one.type === other.type &&
    one.queue === other.queue &&
    one.tenant === other.tenant &&
    one.priority === other.priority &&
    one.maxAttempts === other.maxAttempts &&
    one.requestId === other.requestId &&
    one.traceparent === other.traceparent
  );
}

/** `jobs` in order, cut into runs: each is one pack when it has {@link fewestPacked} jobs, and rows otherwise. */
export function* packRuns(jobs: readonly NewJob[]): Generator<readonly NewJob[]> {
  let run: NewJob[] = [];
  let chars = 0;
  for (const job of jobs) {
    const [first] = run;
    const isFull = run.length === mostPacked || chars + job.payload.length > mostChars;
    if (first !== undefined && (isFull || !isPlain(job) || !isSameKind(first, job))) {
      yield run;
      run = [];
      chars = 0;
    }
    run.push(job);
    chars += job.payload.length;
    if (isPlain(job)) continue;
    yield run;
    run = [];
    chars = 0;
  }
  if (run.length > 0) yield run;
}
