import type { JobStatus } from "@apiforge/client";
import { useJob } from "@apiforge/client/react";
import { useState, type ReactNode } from "react";

import { ProgressBar } from "./progress-bar.tsx";

interface BulkJob extends JobStatus {
  readonly jobId: string;
  readonly total: number;
  readonly processed: number;
  readonly failed: number;
  readonly failedNumbers?: readonly string[];
}

const titles: Readonly<Record<string, string>> = {
  QUEUED: "Waiting to start",
  IN_PROGRESS: "Sending",
  COMPLETED: "Finished",
  FAILED: "Failed",
  CANCELED: "Cancelled",
};

const shownNumbers = 12;

/** One job: how far it is, what failed, and the way to stop it. */
export function JobCard({
  statusUrl,
  onDone,
}: {
  readonly statusUrl: string;
  readonly onDone: () => void;
}): ReactNode {
  const { job, progress = 0, isEnded, isRefused, error, cancel } = useJob<BulkJob>(statusUrl);
  const [isCancelFailed, setIsCancelFailed] = useState(false);
  const status = job?.status ?? "QUEUED";

  function stop(): void {
    setIsCancelFailed(false);
    cancel().catch(() => setIsCancelFailed(true));
  }

  return (
    <section className="card job" data-status={status} aria-labelledby="job-title">
      <div className="job-head">
        <h2 id="job-title" aria-live="polite">
          {titles[status] ?? status}
        </h2>
        <span className="percent">{Math.floor(progress * 100)}%</span>
      </div>
      <ProgressBar
        total={job?.total ?? 0}
        processed={job?.processed ?? 0}
        failed={job?.failed ?? 0}
      />
      <Counts job={job} />
      {error !== undefined && (
        <p className="notice" role="status">
          {isRefused ? error.message : "The connection is away. Trying again…"}
        </p>
      )}
      {isCancelFailed && !isEnded && (
        <p className="notice" role="status">
          The job could not be cancelled. Try again.
        </p>
      )}
      {isEnded && <FailedNumbers numbers={job?.failedNumbers ?? []} />}
      <div className="actions">
        {job !== undefined && <p className="hint">{job.jobId}</p>}
        {isEnded || isRefused ? (
          <button className="primary" type="button" onClick={onDone}>
            Send more
          </button>
        ) : (
          <button type="button" onClick={stop}>
            Cancel
          </button>
        )}
      </div>
    </section>
  );
}

function Counts({ job }: { readonly job: BulkJob | undefined }): ReactNode {
  const { total = 0, processed = 0, failed = 0 } = job ?? {};
  return (
    <dl className="counts">
      <Count name="Sent" value={Math.max(0, processed - failed)} kind="sent" />
      <Count name="Failed" value={failed} kind="failed" />
      <Count name="Open" value={Math.max(0, total - processed)} kind="open" />
      <Count name="Total" value={total} />
    </dl>
  );
}

function Count({
  name,
  value,
  kind,
}: {
  readonly name: string;
  readonly value: number;
  readonly kind?: "sent" | "failed" | "open";
}): ReactNode {
  return (
    <div className={kind}>
      <dt>{name}</dt>
      <dd>{value.toLocaleString("en")}</dd>
    </div>
  );
}

function FailedNumbers({ numbers }: { readonly numbers: readonly string[] }): ReactNode {
  if (numbers.length === 0) return null;
  const more = numbers.length - shownNumbers;
  return (
    <details>
      <summary>Numbers that failed</summary>
      <ul className="numbers">
        {numbers.slice(0, shownNumbers).map((number) => (
          <li key={number}>{number}</li>
        ))}
      </ul>
      {more > 0 && <p className="hint">and {more.toLocaleString("en")} more</p>}
    </details>
  );
}
