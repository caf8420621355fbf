export * from "./contract.ts";
export { deadlineExceededError } from "./job-row.ts";
export * from "./schedule-contract.ts";
export { storeError, storeErrors } from "./errors.ts";
