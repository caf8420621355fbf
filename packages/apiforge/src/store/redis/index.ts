export { openRedisQuotas, type RedisQuotas, type RedisQuotasOptions } from "./quotas.ts";
