import type { Migration } from "../contract.ts";
import { core } from "./0001-core.ts";
import { jobControl } from "./0002-job-control.ts";
import { batches } from "./0003-batches.ts";
import { schedules } from "./0004-schedules.ts";
import { jobPacks } from "./0005-job-packs.ts";
import { jobPacksPostgres } from "./0006-job-packs-postgres.ts";
import { audit } from "./0007-audit.ts";
import { apiKeys } from "./0008-api-keys.ts";
import { quotas } from "./0009-quotas.ts";
import { tokens } from "./0010-tokens.ts";
import { deprecatedUsage } from "./0011-deprecated-usage.ts";
import { jobTrace } from "./0017-job-trace.ts";
import { authRevocations } from "./0018-auth-revocations.ts";
import { cachePurges } from "./0019-cache-purges.ts";
import { upstreamCalls } from "./0020-upstream-calls.ts";
import { eventRetention } from "./0026-event-retention.ts";
import { upstreamCallSettlements } from "./0027-upstream-call-settlements.ts";

/** APIForge's own schema, in the order in which it is applied. */
export const coreMigrations: readonly Migration[] = [
  core,
  jobControl,
  batches,
  schedules,
  jobPacks,
  jobPacksPostgres,
  audit,
  apiKeys,
  quotas,
  tokens,
  deprecatedUsage,
  jobTrace,
  authRevocations,
  cachePurges,
  upstreamCalls,
  eventRetention,
  upstreamCallSettlements,
];
