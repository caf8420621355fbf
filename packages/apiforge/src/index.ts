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
  batchAccepted,
  batchCompleted,
  batchProgressed,
  defineBatch,
  defineConsumer,
  defineEvent,
  defineJob,
  sql,
  type Batches,
  type BatchDefinition,
  type BatchItem,
  type BatchItemContext,
  type BatchOptions,
  type BatchRate,
  type BatchReader,
  type ConsumerContext,
  type ConsumerDefinition,
  type EnqueueOptions,
  type EventDefinition,
  type FinishedItem,
  type ItemError,
  type ItemStatus,
  type JobContext,
  type JobDefinition,
  type JobOptions,
  type Reader,
  type StagedBatch,
  type Transaction,
  type TransactionBatches,
} from "./durable/index.ts";
export {
  badRequest,
  batchBody,
  conflict,
  defineRoute,
  eventStreamReply,
  forbidden,
  listQuery,
  ndjsonReply,
  notFound,
  pageOf,
  paymentRequired,
  unprocessable,
  type Principal,
  type RequestInfo,
  type Route,
  type ServerSentEvent,
} from "./edge/index.ts";
export { ApiForgeError, newId, type Duration, type ErrorType } from "./kernel/index.ts";
export {
  exponential,
  fixedDelays,
  nonRetriable,
  retryAfter,
  type BackoffPolicy,
} from "./resilience/index.ts";
export type { BatchRecord, BatchState, LogEvent, Migration } from "./store/index.ts";
