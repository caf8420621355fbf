import { jobStates, type ClaimedJob, type JobRecord, type JobState, type Row } from "./contract.ts";

/** The number under which a state is stored: below 3 a job is live, and no other has its dedupe key. */
const stateNumbers: Readonly<Record<JobState, number>> = {
  waiting: -1,
  scheduled: 0,
  ready: 1,
  running: 2,
  completed: 3,
  dead: 4,
  cancelled: 5,
};
const statesByNumber = new Map(jobStates.map((state) => [stateNumbers[state], state]));

/** The number under which a state is stored. */
export function stateNumber(state: JobState): number {
  return stateNumbers[state];
}

/** SQL for the state of a job that may run now: a keyed one waits for its lane. */
export const dueState = "case when lane is null then 1 else -1 end";

/** Columns that a claim returns; `priority` is there to sort by, as RETURNING has no order. */
export const claimedColumns =
  "n, id, queue, type, tenant, payload, attempt, max_attempts, request_id, fence, priority, traceparent";

/** What a claim returns beside {@link claimedColumns} of jobs that may have a key or a death behind them. */
export const claimedLaneColumns = "deaths, lane";

/** Claimed rows of jobs without a key, in the order in which they are to run. */
export function toClaimedJobs(rows: readonly Row[]): readonly ClaimedJob[] {
  return rows
    .toSorted(
      (a, b) => Number(a["priority"]) - Number(b["priority"]) || Number(a["n"]) - Number(b["n"]),
    )
    .map(toClaimedJob);
}

/** A claimed row, with {@link claimedLaneColumns} or without; `start_in_ms` is only there for a job of a lane with a rate. */
export function toClaimedJob(row: Row): ClaimedJob {
  return {
    n: Number(row["n"]),
    id: String(row["id"]),
    queue: String(row["queue"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    payload: String(row["payload"]),
    attempt: Number(row["attempt"]),
    maxAttempts: Number(row["max_attempts"]),
    requestId: String(row["request_id"]),
    traceparent: textOrNull(row["traceparent"]),
    fence: Number(row["fence"]),
    deaths: Number(row["deaths"] ?? 0),
    key: textOrNull(row["lane"]),
    startInMs: numberOrNull(row["start_in_ms"]),
    deadlineInMs: numberOrNull(row["deadline_in_ms"]),
  };
}

/** A job row as the management API shows it. */
export function toJobRecord(row: Row): JobRecord {
  return {
    id: String(row["id"]),
    queue: String(row["queue"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    state: toJobState(row),
    payload: String(row["payload"]),
    priority: Number(row["priority"]),
    attempt: Number(row["attempt"]),
    maxAttempts: Number(row["max_attempts"]),
    runAt: Number(row["run_at"]),
    createdAt: Number(row["created_at"]),
    finishedAt: numberOrNull(row["finished_at"]),
    lastError: textOrNull(row["last_error"]),
    dedupeKey: textOrNull(row["dedupe_key"]),
    requestId: String(row["request_id"]),
    key: textOrNull(row["lane"]),
    deadlineAt: numberOrNull(row["deadline_at"]),
  };
}

/** A job's state as it is stored in `row`. */
export function toJobState(row: Row): JobState {
  const state = statesByNumber.get(Number(row["state"]));
  if (state === undefined) throw new TypeError(`Unknown job state ${String(row["state"])}`);
  return state;
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/**
 * Process deaths after which a job counts as their cause and is dead. A death is no attempt: most
 * jobs that a dying process holds only wait there for their turn.
 */
export const maxDeaths = 5;

/** The error kept of a job whose process died while it held the job. */
export const processDiedError = "The process died while it held this job.";

/** The error kept of a job whose deadline came before its next attempt. */
export const deadlineExceededError =
  "deadline_exceeded: the job had not begun its next attempt by its deadline.";

/** How far ahead of its slot a job of a rate-limited lane may be leased, so that a claim takes several. */
export const rateHorizonUs = 100_000;

/** What "no limit" is stored as. */
export const unlimitedConcurrency = 2 ** 31 - 1;

/** How a change of one job changes the counters of its lane. */
export interface LaneChange {
  readonly running: number;
  readonly waiting: number;
  /** The lane hands out nothing before this instant; 0 when it says nothing about that. */
  readonly nextAt: number;
}
