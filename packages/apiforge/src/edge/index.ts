export type { Principal } from "./auth/principal.ts";
export {
  createTokenVerifier,
  type TokenVerifier,
  type TokenVerifierOptions,
  type TrustedIssuer,
  type VerifiedToken,
} from "./auth/token-verifier.ts";
export {
  createDevIssuer,
  type DevIssuer,
  type DevIssuerOptions,
  type DevToken,
} from "./auth/dev-issuer.ts";
export type { Position } from "./cursor.ts";
export { createEdge, type Edge, type EdgeOptions } from "./edge.ts";
export {
  badRequest,
  conflict,
  edgeError,
  edgeErrors,
  forbidden,
  notFound,
  paymentRequired,
  unprocessable,
} from "./errors.ts";
export type { RequestInfo } from "./exchange.ts";
export type { ReadyCheck } from "./health.ts";
export { listQuery, pageOf, type List, type Page } from "./list.ts";
export type { ApiDescription } from "./openapi/openapi.ts";
export {
  defineRoute,
  type Auth,
  type CallTypes,
  type DeclaredRoute,
  type HandlerContext,
  type IdempotencyMode,
  type Method,
  type PathParams,
  type Replies,
  type ReplyOf,
  type Route,
  type RouteOptions,
} from "./route.ts";
export { publicTenant, type DurableBackend } from "./stages/backend.ts";
export { textReply, type TextReply } from "./text-reply.ts";
