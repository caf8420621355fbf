export * from "./contract.ts";
export { storeError, storeErrors } from "./errors.ts";
