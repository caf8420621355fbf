import { stage, type Exchange, type Forge, type PlacedStage } from "apiforge";

import { correlationField } from "./correlation.ts";

/** An access to accounts that is about to happen. */
export interface AccountAccess {
  readonly tenant: string;
  readonly subject: string;
  readonly requestId: string;
  readonly correlationId: string;
  /** Thumbprint of the provider's certificate. */
  readonly certificate: string;
}

/** Writes an access into the audit log; resolves when that is on disk. */
export type RecordAccess = (access: AccountAccess) => Promise<void>;

/** Records accesses in a server's own audit log, which is chained. */
export function auditLogOf(durable: Promise<Forge["durable"]>): RecordAccess {
  return async function recordAccess({ correlationId, certificate, ...actor }) {
    const { transact } = await durable.then((found) => ({ transact: found.transact.bind(found) }));
    await transact("open-banking audit", actor, async (tx) => {
      tx.audit({ action: "accounts.read", detail: { correlationId, certificate } });
    });
  };
}

/**
 * Every call leaves a line in the log, refusals too. One that is let through leaves an entry in the
 * audit log before the bank's service is asked: no account is read that nobody can account for.
 */
export function auditTrail(isOurs: (path: string) => boolean, record: RecordAccess): PlacedStage {
  return stage("open-banking-audit", "admit", (route) => {
    if (route === undefined || !isOurs(route.path)) return undefined;
    return {
      enter: (exchange) => record(accessOf(exchange)),
      leave(exchange, { answer: { status } }) {
        exchange.log.info({ status, ...accessOf(exchange) }, "open banking call");
      },
    };
  });
}

function accessOf(exchange: Exchange): AccountAccess {
  const { principal, certificate, id } = exchange;
  return {
    tenant: principal?.tenant ?? "",
    subject: principal?.subject ?? "",
    requestId: id,
    correlationId: exchange.headerOf(correlationField) ?? id,
    certificate: certificate ?? "",
  };
}
