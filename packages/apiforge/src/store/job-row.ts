import { jobStates, type ClaimedJob, type JobRecord, type JobState, type Row } from "./contract.ts";

/** The number under which a state is stored. */
export function stateNumber(state: JobState): number {
  return jobStates.indexOf(state);
}

/** Columns that a claim returns; `priority` is there to sort by, as RETURNING has no order. */
export const claimedColumns =
  "n, id, queue, type, tenant, payload, attempt, max_attempts, request_id, fence, priority";

/** Claimed rows in the order in which they are to run. */
export function toClaimedJobs(rows: readonly Row[]): readonly ClaimedJob[] {
  return rows
    .toSorted(
      (a, b) => Number(a["priority"]) - Number(b["priority"]) || Number(a["n"]) - Number(b["n"]),
    )
    .map((row) => ({
      n: Number(row["n"]),
      id: String(row["id"]),
      queue: String(row["queue"]),
      type: String(row["type"]),
      tenant: String(row["tenant"]),
      payload: String(row["payload"]),
      attempt: Number(row["attempt"]),
      maxAttempts: Number(row["max_attempts"]),
      requestId: String(row["request_id"]),
      fence: Number(row["fence"]),
    }));
}

/** A job row as the management API shows it. */
export function toJobRecord(row: Row): JobRecord {
  const state = jobStates[Number(row["state"])];
  if (state === undefined)
    throw new TypeError(`Job ${String(row["id"])} has unknown state ${String(row["state"])}`);
  return {
    id: String(row["id"]),
    queue: String(row["queue"]),
    type: String(row["type"]),
    tenant: String(row["tenant"]),
    state,
    payload: String(row["payload"]),
    priority: Number(row["priority"]),
    attempt: Number(row["attempt"]),
    maxAttempts: Number(row["max_attempts"]),
    runAt: Number(row["run_at"]),
    createdAt: Number(row["created_at"]),
    finishedAt: row["finished_at"] === null ? null : Number(row["finished_at"]),
    lastError: textOrNull(row["last_error"]),
    dedupeKey: textOrNull(row["dedupe_key"]),
    requestId: String(row["request_id"]),
  };
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
