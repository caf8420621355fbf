export {
  defineConsumer,
  defineEvent,
  defineJob,
  type ConsumerContext,
  type ConsumerDefinition,
  type EnqueueOptions,
  type EventDefinition,
  type JobContext,
  type JobDefinition,
  type JobOptions,
  type LaneOptions,
} from "./definitions.ts";
export { durableError, durableErrors } from "./errors.ts";
export type { Answer, IdempotencyKey, WriteOutcome, WriteRequest } from "./execute.ts";
export {
  defineSchedule,
  type CatchUp,
  type ScheduleDefinition,
  type ScheduleOptions,
  type ScheduleTick,
} from "./schedules/definition.ts";
export type { ScheduleInfo, Schedules } from "./schedules/schedules.ts";
export { sql, type SqlInput, type SqlPiece, type SqlTag } from "./sql.ts";
export {
  maxPayloadBytes,
  type Actor,
  type EnqueuedJob,
  type Reader,
  type Transaction,
} from "./transaction.ts";
export {
  createDurable,
  type Durable,
  type DurableOptions,
  type JobManagement,
  type QueueManagement,
  type QueueSettings,
} from "./durable.ts";
