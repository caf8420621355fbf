export {
  crossTenantAccess,
  crossTenantAttempted,
  type CrossTenantAccess,
  type CrossTenantAttempt,
  type CrossTenantCall,
  type RaiseAlarm,
} from "./cross-tenant.ts";
export { publicTenant, type KeyMode, type Principal } from "./auth/principal.ts";
export {
  createTokenVerifier,
  type TokenVerifier,
  type TokenVerifierOptions,
  type VerifiedToken,
} from "./auth/token-verifier.ts";
export { createAuthorisers, type AuthoriserOptions } from "./auth/authorisers.ts";
export type { Revocations } from "./auth/revocations.ts";
export type { KeyRestrictions } from "./auth/key-restrictions.ts";
export type { KeyVerdict, KeyVerifier } from "./auth/key-verifier.ts";
export type { IntrospectionOptions } from "./auth/introspection.ts";
export type { KeySource } from "./auth/key-set.ts";
export { issuers } from "./auth/issuers/index.ts";
export type {
  ClaimMap,
  ClaimSource,
  SignatureAlgorithm,
  TrustedIssuer,
} from "./auth/trusted-issuer.ts";
export {
  createDevIssuer,
  type DevIssuer,
  type DevIssuerOptions,
  type DevToken,
} from "./auth/dev-issuer.ts";
export type { CacheOptions } from "./caching/cache-control.ts";
export { hasTag } from "./caching/entity-tag.ts";
export type { PreconditionOptions } from "./caching/precondition.ts";
export {
  ClientCertificates,
  type CertificateHolder,
  type IdentifyCertificate,
  type VerifiedCertificate,
} from "./certificates/client-certificates.ts";
export type { TrustOptions } from "./certificates/trust.ts";
export { connectEnd, type ConnectEnd } from "./grpc/connect-end.ts";
export {
  connectTypeOf,
  grpcFormOf,
  isConnect,
  lastFrame,
  webPiece,
  type GrpcForm,
} from "./grpc/form.ts";
export { framed, prefixBytes } from "./grpc/framed.ts";
export { readVarint } from "./grpc/protobuf.ts";
export { writeWhole } from "./grpc/refusal.ts";
export { grpcMessage, grpcStatus } from "./grpc/status.ts";
export { http2ResponseOf } from "./http2/http2-response.ts";
export { http2RequestOf, lengthOfBody } from "./http2/http2-request.ts";
export type { TlsMaterial } from "./tls.ts";
export { TrustedProxies } from "./trusted-proxies.ts";
export { asksForWebSocket } from "./upgrades.ts";
export type { CorsOptions } from "./cors/policy.ts";
export type { Position } from "./cursor.ts";
export { createEdge } from "./edge.ts";
export type { Edge, EdgeChanges, EdgeOptions } from "./edge-options.ts";
export {
  badRequest,
  conflict,
  edgeError,
  edgeErrors,
  forbidden,
  notFound,
  paymentRequired,
  unauthorized,
  unprocessable,
} from "./errors.ts";
export type { LineSink } from "./evidence/access-lines.ts";
export type { AccessLogOptions, StatusClass } from "./evidence/access-log.ts";
export type {
  ErrorChanges,
  ErrorReporter,
  OnError,
  ReportContext,
} from "./evidence/error-hooks.ts";
export { sentryReporter, type SentryClient } from "./evidence/sentry.ts";
export type { Failure } from "./problem.ts";
export type { MetricsOptions } from "./evidence/metrics/mount-metrics.ts";
export type { Exchange, RequestInfo } from "./exchange.ts";
export { plainAnswer, type Outgoing } from "./outgoing.ts";
export {
  stage,
  stageOrder,
  type Enter,
  type Leave,
  type PlacedStage,
  type Stage,
  type StageName,
  type Steps,
} from "./stage.ts";
export { aheadOf, LimitJournal } from "./limits/journal.ts";
export { LimitBook, type ServerLimits } from "./limits/limit-book.ts";
export { LeaseDesk, type LeaseSource } from "./limits/lease-desk.ts";
export { LeasedCounter } from "./limits/leased-counter.ts";
export { limitPolicy, type LimitBy, type LimitOptions, type LimitPolicy } from "./limits/policy.ts";
export { WindowTable } from "./limits/window-table.ts";
export type { SubjectPart } from "./limits/subject.ts";
export type {
  AnswerTurn,
  Relay,
  RelayBackend,
  RelayKeys,
  Responder,
  SelfWritten,
} from "./relay.ts";
export type { ReadyCheck } from "./health.ts";
export { batchBody, type BatchBody, type BatchBodyOptions } from "./body/batch-body.ts";
export {
  eventStreamReply,
  ndjsonReply,
  type ServerSentEvent,
  type StreamReply,
} from "./stream-reply.ts";
export { listQuery, pageOf, type List, type Page } from "./list.ts";
export type { ApiDescription } from "./openapi/openapi.ts";
export {
  defineRoute,
  type Auth,
  type BodyDeclaration,
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
  type UnknownFields,
} from "./route.ts";
export { STATUS_CODES, validateHeaderName, validateHeaderValue } from "./node-http.ts";
export { shape as replyShaper, type ShapeReply } from "./stages/shape.ts";
export type { UpstreamCall } from "../durable/index.ts";
export type { UpstreamAnswer } from "../store/index.ts";
export type { DurableBackend } from "./stages/backend.ts";
export type { DeprecationOptions } from "./versions/deprecation.ts";
export type { VersionOptions } from "./versions/version-choice.ts";
export { textReply, type TextReply } from "./text-reply.ts";
