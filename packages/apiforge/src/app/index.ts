export { logLevels, readConfig, settingNames, type Config, type LogLevel } from "./config.ts";
export { purgeCaches } from "./purge-caches.ts";
export type { PurgeRequest } from "./purge-requests.ts";
export { everyCache } from "./cache-purges.ts";
export type { Purge } from "../gateway/index.ts";
export type { AuthoriserSettings, CallerContext } from "./authoriser.ts";
export type { Deployment } from "./deployment.ts";
export { apiKeys, type ApiKeys } from "./keys/api-keys.ts";
export type { ApiKeyInfo, IssuedKey, NewApiKey } from "../features/identity/index.ts";
export { auditLog } from "./audit/routes.ts";
export { verifyAuditLog } from "./audit/verify-log.ts";
export type { AuditReport } from "../durable/index.ts";
export type { CompiledGateway } from "./declarative/compile.ts";
export type { Gateway, GatewayOptions } from "./declarative/gateway.ts";
export type { FollowedFile } from "./declarative/watch.ts";
export type { Explanation } from "./declarative/explain.ts";
export type { RouteRow } from "./declarative/route-rows.ts";
export type { GatewayFile } from "./declarative/gateway-file.ts";
export { createGateway, loadGatewayTools } from "./declarative/on-demand.ts";
export type { Change, Revision } from "./declarative/revision.ts";
export type { ConfigProblem } from "./declarative/problem.ts";
export { describeProblems } from "./declarative/describe-problems.ts";
export type { StageLine } from "./declarative/describe-route.ts";
export type { ExplainedRequest, Verdict } from "./declarative/dry-run.ts";
export {
  defineConfig,
  fromOpenApi,
  type CacheConfig,
  type GatewayConfig,
  type GatewayLimits,
  type GrpcConfig,
  type IssuerConfig,
  type LimitsConfig,
  type OpenApiConfig,
  type PolicyConfig,
  type RequestRates,
  type RouteConfig,
  type RouteEntry,
  type UpstreamConfig,
} from "./declarative/gateway-config.ts";
export { appErrors } from "./errors.ts";
export {
  createForge,
  openDevIssuer,
  type Forge,
  type ForgeChanges,
  type ForgeOptions,
} from "./forge.ts";
export { workerLink } from "./processes/worker-link.ts";
export { runForge } from "./run.ts";
export type { Served } from "./served.ts";
export { listUpstreamCalls, settleUpstreamCall, type UpstreamCallRow } from "./upstream-calls.ts";
export type { UpstreamCallSettlement } from "../store/index.ts";
export { defineMigration, type System } from "./system.ts";
