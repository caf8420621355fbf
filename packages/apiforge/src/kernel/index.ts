export { systemClock, type Clock, type Timer } from "./clock.ts";
export { durationMs, type Duration } from "./duration.ts";
export {
  ApiForgeError,
  errorFactory,
  type ErrorDefinition,
  type ErrorDetails,
  type ErrorType,
} from "./errors.ts";
export { newId, randomText } from "./id.ts";
export { silentLog, type Log, type LogFields } from "./log.ts";
export type { Metric, MetricSource, MetricType, Sample } from "./metric.ts";
export { onPoint, reach, type CrashPoint } from "./signals.ts";
