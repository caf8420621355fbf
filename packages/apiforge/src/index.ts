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
  sql,
  type ConsumerContext,
  type ConsumerDefinition,
  type EnqueueOptions,
  type EventDefinition,
  type JobContext,
  type JobDefinition,
  type JobOptions,
  type Reader,
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
  textReply,
  unprocessable,
  type CallTypes,
  type DeclaredRoute,
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
  type BackoffPolicy,
} from "./resilience/index.ts";
export type { LogEvent, Migration } from "./store/index.ts";
