import type { System, Upstream } from "apiforge";

import { auditTrail, type RecordAccess } from "./audit-trail.ts";
import { correlation } from "./correlation.ts";
import { isOpenBanking, openBankingRoutes } from "./routes.ts";

export { startAccountsService, type AccountsService } from "./accounts-service.ts";
export { auditLogOf, type RecordAccess } from "./audit-trail.ts";
export { openBankingCertificates, type CertificateFiles } from "./certificates.ts";
export { accountsUpstream } from "./routes.ts";

/** What open banking needs of others. */
export interface OpenBankingPorts {
  readonly accounts: Upstream;
  readonly record: RecordAccess;
}

/** A bank's accounts for payment service providers: client certificates, scopes, and no word too many. */
export function openBanking({ accounts, record }: OpenBankingPorts): System {
  return {
    routes: openBankingRoutes(accounts),
    stages: [correlation(isOpenBanking), auditTrail(isOpenBanking, record)],
  };
}
