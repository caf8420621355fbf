/** What the status of a long-running job says at least. */
export interface JobStatus {
  /** `QUEUED`, `IN_PROGRESS`, `COMPLETED` … in whatever case. */
  readonly status: string;
  readonly total?: number;
  /** Items that are done, failed ones included. */
  readonly processed?: number;
  readonly failed?: number;
}

const endings: ReadonlySet<string> = new Set([
  "completed",
  "succeeded",
  "failed",
  "canceled",
  "cancelled",
  "dead",
]);

/** Whether nothing of the job will change any more: it completed, failed or was cancelled. */
export function hasEnded({ status }: JobStatus): boolean {
  return endings.has(status.toLowerCase());
}

/** The address of something that belongs to a job: `/jobs/1/status` has `/jobs/1/events`. */
export function besideStatus(statusUrl: string, name: "events" | "cancel"): string {
  return `${statusUrl.replace(/\/status$/, "")}/${name}`;
}

/** Whether `value`, of a status or an event, is the status of a job. */
export function isJobStatus(value: unknown): value is JobStatus {
  return typeof (value as { status?: unknown } | null)?.status === "string";
}
