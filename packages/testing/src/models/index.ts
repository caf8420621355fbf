export { faultyStore, type CommitFault, type FaultyStore } from "./faulty-store.ts";
export { checkIdempotencyModel } from "./idempotency.ts";
export { checkJobsModel } from "./jobs.ts";
export { checkUpstreamCallsModel } from "./upstream-calls.ts";
export { fuzzOptions } from "./runs.ts";
