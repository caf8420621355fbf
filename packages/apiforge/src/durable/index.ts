export { readAnchor, type AuditAnchor } from "./audit/anchor.ts";
export type { AuditRecord } from "./audit/record.ts";
export {
  verifyAudit,
  type AuditFault,
  type AuditReport,
  type ReadSnapshot,
} from "./audit/verify.ts";
export type { Batches } from "./batches/batches.ts";
export {
  defineBatch,
  type BatchDefinition,
  type BatchItemContext,
  type BatchOptions,
  type BatchRate,
  type FinishedItem,
  type ItemError,
} from "./batches/definition.ts";
export { batchAccepted, batchCompleted, batchProgressed } from "./batches/events.ts";
export type { StartOptions, TransactionBatches } from "./batches/handler-batches.ts";
export {
  itemStatuses,
  type BatchItem,
  type BatchReader,
  type ItemQuery,
  type ItemStatus,
} from "./batches/reads.ts";
export { maxItemChars, type BatchStager, type StagedBatch } from "./batches/stager.ts";
export { CommitWatch, type CommitWatchParts } from "./commit-watch.ts";
export {
  defineConsumer,
  defineEvent,
  defineJob,
  type ConsumerContext,
  type MissedEvents,
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
export { holdName } from "./hold-name.ts";
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
export { createDurable, type Durable, type DurableOptions, type QueueSettings } from "./durable.ts";
export type { JobManagement, QueueManagement } from "./management.ts";
export {
  digestOfUpstreamKey,
  upstreamKey,
  type UpstreamCall,
  type UpstreamCalls,
  type UpstreamCallStart,
} from "./upstream-calls.ts";
