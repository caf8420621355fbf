export { ApiForgeError, type Clock } from "../kernel/index.ts";
export {
  backoffDelayMs,
  exponential,
  fixedDelays,
  type BackoffPolicy,
  type ExponentialBackoff,
  type ExponentialOptions,
  type FixedBackoff,
  type Jitter,
} from "./backoff.ts";
export type { ConnectorInfo, ConnectorSetting } from "./connector.ts";
export { startDeadline, type Deadline } from "./deadline.ts";
export { nonRetriable, resilienceError, resilienceErrors, retryAfter, snooze } from "./errors.ts";
export { answerError, callProvider, type CallInit, type CallOptions } from "./http.ts";
export { parseRetryAfterSeconds, retryWaitMs } from "./retry-after.ts";
export { activeTraceparent, linksTo, registeredTracer } from "./tracing.ts";
