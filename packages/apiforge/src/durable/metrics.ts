import type { Metric, Sample } from "../kernel/index.ts";
import { auditSealerName, type QueueFigures, type Store, type StoreWork } from "../store/index.ts";
import type { AttemptCounts } from "./jobs/attempt-counts.ts";

/** What the jobs, the log and the store have to tell, read from the store now. */
export async function durableMetrics(
  store: Store,
  attempts: AttemptCounts,
): Promise<readonly Metric[]> {
  const [{ queues, consumers }, head] = await Promise.all([store.figures(), store.events.head()]);
  // The sealer of the audit log counts seals, not events.
  const readers = consumers.filter(({ name }) => name !== auditSealerName);
  const lags = readers.map(({ name, cursor }) => ({
    labels: { consumer: name },
    value: Math.max(0, head - cursor),
  }));
  return [
    sharedGauge(
      "apiforge_jobs",
      "Jobs by queue and state; 100,000 of a state are as many as that or more.",
      queues.map((figures) => ({ labels: labelsOf(figures), value: figures.jobs })),
    ),
    sharedGauge(
      "apiforge_jobs_oldest_seconds",
      "How long the first job of a state has been due.",
      ages(queues),
    ),
    {
      name: "apiforge_job_attempts_total",
      help: "Attempts of this process by type of job and how they ended.",
      type: "counter",
      samples: attempts.samples(),
    },
    sharedGauge("apiforge_events_head", "Position of the last event in the log.", [
      { value: head },
    ]),
    sharedGauge(
      "apiforge_consumer_lag_events",
      "Positions from a consumer to the head of the log.",
      lags,
    ),
    ...storeMetrics(store.work()),
  ];
}

function ages(queues: readonly QueueFigures[]): readonly Sample[] {
  return queues.flatMap((figures) =>
    figures.oldestMs === null || figures.state === "scheduled"
      ? []
      : [{ labels: labelsOf(figures), value: figures.oldestMs / 1_000 }],
  );
}

function labelsOf({ queue, state }: QueueFigures): { queue: string; state: string } {
  return { queue, state };
}

function storeMetrics({ commits, units, syncs, syncMs }: StoreWork): readonly Metric[] {
  return [
    counter("apiforge_store_commits_total", "Commits of requests, jobs and our own work.", commits),
    counter(
      "apiforge_store_units_total",
      "Units of work in them: by commits, the size of a group.",
      units,
    ),
    counter("apiforge_store_syncs_total", "Flushes of the embedded database's log.", syncs),
    counter("apiforge_store_sync_seconds_total", "Time that they took.", syncMs / 1_000),
  ];
}

function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: "counter", samples: [{ value }] };
}

function sharedGauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, help, type: "gauge", isShared: true, samples };
}
