/** What is asked of one engine. */
export type Question =
  /** Adds and runs `jobs` at the same time. */
  | { readonly kind: "throughput"; readonly jobs: number }
  /** Runs `jobs` of a queue in which `waiting` jobs wait. */
  | { readonly kind: "waiting"; readonly jobs: number; readonly waiting: number }
  /** Adds one job after the other to an idle queue. */
  | { readonly kind: "latency"; readonly samples: number };

/** What the process of an engine is started with. */
export interface Assignment {
  readonly engine: string;
  readonly store: string;
  readonly concurrency: number;
  readonly question: Question;
}

/** What it answers. */
export interface Answer {
  /** Jobs run from the first one added to the last one settled; 0 for latencies. */
  readonly jobsPerSecond: number;
  /** From the moment an added job is durable to its start; 0 when the job has started before. */
  readonly startDelaysUs: readonly number[];
  readonly cpuUsPerJob: number;
  readonly peakRssBytes: number;
}
