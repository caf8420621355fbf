export { logLevels, readConfig, settingNames, type Config, type LogLevel } from "./config.ts";
export type { AuthoriserSettings, CallerContext } from "./authoriser.ts";
export type { Deployment } from "./deployment.ts";
export { apiKeys, type ApiKeys } from "./keys/api-keys.ts";
export type { ApiKeyInfo, IssuedKey, NewApiKey } from "../features/identity/index.ts";
export { auditLog } from "./audit/routes.ts";
export { verifyAuditLog } from "./audit/verify-log.ts";
export type { AuditReport } from "../durable/index.ts";
export { compileGateway, type CompiledGateway } from "./declarative/compile.ts";
export { createGateway } from "./declarative/create-gateway.ts";
export { serveGateway, type Gateway, type GatewayOptions } from "./declarative/gateway.ts";
export type { Change, Revision } from "./declarative/revision.ts";
export { followFile, type FollowedFile } from "./declarative/watch.ts";
export type { ConfigProblem } from "./declarative/problem.ts";
export { describeProblems } from "./declarative/describe-problems.ts";
export type { StageLine } from "./declarative/describe-route.ts";
export type { ExplainedRequest, Verdict } from "./declarative/dry-run.ts";
export { explainRequest, type Explanation } from "./declarative/explain.ts";
export { routeRows, type RouteRow } from "./declarative/route-rows.ts";
export {
  defineConfig,
  fromOpenApi,
  type GatewayConfig,
  type GatewayLimits,
  type IssuerConfig,
  type LimitsConfig,
  type OpenApiConfig,
  type PolicyConfig,
  type RequestRates,
  type RouteConfig,
  type RouteEntry,
  type UpstreamConfig,
} from "./declarative/gateway-config.ts";
export { readGatewayFile, type GatewayFile } from "./declarative/gateway-file.ts";
export { appErrors } from "./errors.ts";
export {
  createForge,
  openDevIssuer,
  type Forge,
  type ForgeChanges,
  type ForgeOptions,
} from "./forge.ts";
export { runForge } from "./run.ts";
export { defineMigration, type System } from "./system.ts";
