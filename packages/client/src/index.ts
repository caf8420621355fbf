/**
 * A client of an APIForge API for browsers and Node.js: typed from the routes, with retries,
 * idempotency keys, lists, events and results as async iterators. It depends on nothing but `fetch`.
 * @module
 */
export { ApiError, type ApiErrorFacts } from "./api-error.ts";
export type { Answer, RequestOptions } from "./call.ts";
export { createClient, type Client, type UrlClient } from "./client.ts";
export type { Clock, Timer } from "./clock.ts";
export type { ServerSentEvent } from "./event-parser.ts";
export type { EventsOptions } from "./events.ts";
export { newIdempotencyKey } from "./idempotency-key.ts";
export { hasEnded, type JobStatus } from "./job.ts";
export type { AnyCall, AnyRoute } from "./route-types.ts";
export type { ClientOptions } from "./settings.ts";
export type { WatchOptions } from "./watch-job.ts";
