import { monitorEventLoopDelay, performance } from "node:perf_hooks";

import type { Metric, MetricSource } from "../../../kernel/index.ts";

const resolutionMs = 10;
const nsPerSecond = 1e9;
const usPerSecond = 1e6;
const quantiles = [0.5, 0.9, 0.99] as const;

/** Metrics of this process, under Prometheus' own names for them; it watches the event loop until `closing` aborts. */
export function processMetrics(closing: AbortSignal): MetricSource {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  closing.addEventListener("abort", () => delay.disable(), { once: true });
  let utilization = performance.eventLoopUtilization();

  function eventLoop(): readonly Metric[] {
    const before = utilization;
    utilization = performance.eventLoopUtilization();
    const samples = [
      ...quantiles.map((quantile) => ({
        labels: { quantile: String(quantile) },
        value: seconds(delay.percentile(quantile * 100)),
      })),
      { labels: { quantile: "1" }, value: seconds(delay.max) },
    ];
    // Each scrape tells of the time since the one before it.
    delay.reset();
    const { utilization: value } = performance.eventLoopUtilization(utilization, before);
    return [
      gauge(
        "nodejs_eventloop_lag_seconds",
        "How late the event loop was since the last scrape.",
        samples,
      ),
      gauge("nodejs_eventloop_utilization", "Share of time it was busy since the last scrape.", [
        { value },
      ]),
    ];
  }

  return () => [...resources(), ...eventLoop()];
}

function resources(): readonly Metric[] {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const startedAtSeconds = performance.timeOrigin / 1_000;
  return [
    {
      name: "process_cpu_seconds_total",
      help: "Time of all threads on a CPU.",
      type: "counter",
      samples: [{ value: (user + system) / usPerSecond }],
    },
    gauge("process_resident_memory_bytes", "Memory in RAM.", [{ value: rss }]),
    gauge("process_start_time_seconds", "When the process began.", [{ value: startedAtSeconds }]),
    gauge("nodejs_heap_size_used_bytes", "Heap in use.", [{ value: heapUsed }]),
    gauge("nodejs_heap_size_total_bytes", "Heap reserved.", [{ value: heapTotal }]),
    gauge("nodejs_external_memory_bytes", "Memory of buffers and the like.", [{ value: external }]),
  ];
}

function gauge(name: string, help: string, samples: Metric["samples"]): Metric {
  return { name, help, type: "gauge", samples };
}

// Without any measurement the histogram answers NaN, and a minimum above its maximum.
function seconds(nanoseconds: number): number {
  const beyond = nanoseconds / nsPerSecond - resolutionMs / 1_000;
  return Number.isFinite(beyond) ? Math.max(0, beyond) : 0;
}
