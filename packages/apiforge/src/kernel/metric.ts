/** What a metric counts: `counter` only grows while the process lives, `gauge` goes up and down. */
export type MetricType = "counter" | "gauge" | "histogram";

/** One number of a metric. */
export interface Sample {
  /** Of a histogram: `_bucket`, `_sum` or `_count`. */
  readonly suffix?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with all its numbers, named after Prometheus' conventions: base units, `_total` for counters. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  /** True for what is of the store: the same whichever of several processes tells it. Default false. */
  readonly isShared?: boolean;
  readonly samples: readonly Sample[];
}

/** Tells its metrics when they are asked for. */
export type MetricSource = () => readonly Metric[] | Promise<readonly Metric[]>;
