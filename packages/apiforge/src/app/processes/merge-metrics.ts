import type { Metric, Sample } from "../../kernel/index.ts";

/** The metrics of one process. */
export interface Measured {
  readonly process: number;
  readonly metrics: readonly Metric[];
}

/**
 * Metrics of several processes as those of one server: each sample carries the label `process`, but those of a
 * metric that is shared, which are told once. They are not added up: a sum would fall when a process ends, and
 * what reads counters takes a fall for a new beginning.
 */
export function mergeMetrics(measured: readonly Measured[]): readonly Metric[] {
  const merged = new Map<string, { readonly metric: Metric; readonly samples: Sample[] }>();
  for (const { process, metrics } of measured) {
    for (const metric of metrics) {
      const known = merged.get(metric.name);
      if (known !== undefined && metric.isShared === true) continue;
      const samples = metric.isShared === true ? metric.samples : labelled(metric, process);
      if (known === undefined) merged.set(metric.name, { metric, samples: [...samples] });
      else known.samples.push(...samples);
    }
  }
  return [...merged.values()].map(({ metric, samples }) => ({ ...metric, samples }));
}

function labelled({ samples }: Metric, process: number): readonly Sample[] {
  return samples.map((sample) => ({
    ...sample,
    labels: { ...sample.labels, process: String(process) },
  }));
}
