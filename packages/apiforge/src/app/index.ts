export { logLevels, readConfig, settingNames, type Config, type LogLevel } from "./config.ts";
export type { Deployment } from "./deployment.ts";
export { apiKeys, type ApiKeys } from "./keys/api-keys.ts";
export type { ApiKeyInfo, IssuedKey, KeyMode, NewApiKey } from "../features/identity/index.ts";
export { appErrors } from "./errors.ts";
export { createForge, openDevIssuer, type Forge, type ForgeOptions } from "./forge.ts";
export { runForge } from "./run.ts";
export { defineMigration, type System } from "./system.ts";
