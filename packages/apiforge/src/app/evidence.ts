import type { Durable } from "../durable/index.ts";
import type { EdgeOptions, LineSink } from "../edge/index.ts";
import type { MetricSource } from "../kernel/index.ts";
import type { Config } from "./config.ts";
import { workerLink } from "./processes/worker-link.ts";

const errorsOnly = { "2xx": 0, "3xx": 0 } as const;

/** What the edge tells about its requests, as the operator configured it. */
export function evidenceOptions(
  { accessLog, serverTiming, metricsToken: token }: Config,
  durable: Durable,
  sink: LineSink | undefined,
  more: readonly MetricSource[] = [],
): Pick<EdgeOptions, "accessLog" | "metrics" | "serverTiming"> {
  const processes = workerLink();
  return {
    serverTiming,
    metrics: {
      sources: [() => durable.metrics(), ...more],
      ...(token === undefined ? {} : { token }),
      ...(processes === undefined ? {} : { processes }),
    },
    ...(accessLog === "off"
      ? {}
      : {
          accessLog: {
            sampled: accessLog === "errors" ? errorsOnly : {},
            ...(sink === undefined ? {} : { sink }),
          },
        }),
  };
}
