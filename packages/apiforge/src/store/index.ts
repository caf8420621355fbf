export { auditGenesis, sealHash, sealsAfter, toAuditEntry, toAuditSeal } from "./audit-chain.ts";
export * from "./audit-contract.ts";
export * from "./batch-contract.ts";
export { chunkSelect, toBatchRecord, toStoredChunk } from "./batch-row.ts";
export * from "./contract.ts";
export type * from "./limit-contract.ts";
export { deadlineExceededError } from "./job-row.ts";
export * from "./schedule-contract.ts";
export { storeError, storeErrors } from "./errors.ts";
