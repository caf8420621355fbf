// What runs outside of vitest too. The modules that need its test context are imported by their own
// names: `@apiforge/testing/scenario`, `/postgres-url` and `/global-setup`.
export * from "./crash/index.ts";
export { freePort } from "./free-port.ts";
export { startHalfOpenProxy, type HalfOpenProxy } from "./half-open-proxy.ts";
export {
  createHttpClient,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  type RawConnection,
} from "./http-client.ts";
export { ManualClock } from "./manual-clock.ts";
export * from "./postgres/index.ts";
export { bringPython } from "./python.ts";
export { recordingLog, type LogEntry, type RecordingLog } from "./recording-log.ts";
export { startRedis, type RedisOptions, type RedisServer } from "./redis.ts";
export { turns, until } from "./until.ts";
