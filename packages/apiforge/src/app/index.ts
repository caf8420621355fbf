export { logLevels, readConfig, settingNames, type Config, type LogLevel } from "./config.ts";
export { auditLog } from "./audit/routes.ts";
export { verifyAuditLog } from "./audit/verify-log.ts";
export type { AuditReport } from "../durable/index.ts";
export { appErrors } from "./errors.ts";
export { createForge, openDevIssuer, type Forge, type ForgeOptions } from "./forge.ts";
export { runForge } from "./run.ts";
export { defineMigration, type System } from "./system.ts";
