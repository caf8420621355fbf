/**
 * APIForge: the production layer of an API. Declare routes, events, jobs and consumers, hand them
 * to {@link createForge} as a system, and every request is one commit.
 * @module
 */
export {
  createForge,
  defineMigration,
  readConfig,
  runForge,
  type Config,
  type Forge,
  type ForgeOptions,
  type System,
} from "./app/index.ts";
export {
  defineConsumer,
  defineEvent,
  defineJob,
  defineSchedule,
  sql,
  type CatchUp,
  type ConsumerContext,
  type ConsumerDefinition,
  type EnqueueOptions,
  type EventDefinition,
  type JobContext,
  type JobDefinition,
  type JobManagement,
  type JobOptions,
  type LaneOptions,
  type QueueManagement,
  type QueueSettings,
  type Reader,
  type ScheduleDefinition,
  type ScheduleInfo,
  type ScheduleOptions,
  type ScheduleTick,
  type Schedules,
  type Transaction,
} from "./durable/index.ts";
export {
  badRequest,
  conflict,
  defineRoute,
  forbidden,
  listQuery,
  notFound,
  pageOf,
  paymentRequired,
  unprocessable,
  type Principal,
  type RequestInfo,
  type Route,
} from "./edge/index.ts";
export { ApiForgeError, newId, type Duration, type ErrorType } from "./kernel/index.ts";
export {
  exponential,
  fixedDelays,
  nonRetriable,
  retryAfter,
  snooze,
  type BackoffPolicy,
} from "./resilience/index.ts";
export type { JobRecord, JobState, LogEvent, Migration, Pause, TickRecord } from "./store/index.ts";
