import { hash } from "node:crypto";
import { z } from "zod";

import { defineEvent, defineJob, type JobDefinition, type Transaction } from "../durable/index.ts";
import type { ApiForgeError } from "../kernel/index.ts";
import { exponential } from "../resilience/index.ts";
import type { Principal } from "./auth/principal.ts";
import { forbidden } from "./errors.ts";
import type { RequestInfo } from "./exchange.ts";

const attempt = {
  /** Who asked. */
  subject: z.string(),
  /** The tenant of who asked. Whose the resource is stands nowhere that this tenant reads. */
  tenant: z.string(),
  /** What was asked for, as the system names it. */
  resource: z.string(),
};
const alarmInput = z.object({ ...attempt, requestId: z.string() });

/** Somebody asked for what belongs to another tenant; in the log of the tenant of who asked. */
export const crossTenantAttempted = defineEvent("security.cross_tenant_access", z.object(attempt));

/** An attempt, as the alarm tells it. */
export type CrossTenantAttempt = z.infer<typeof alarmInput>;

/** What a handler has of the request that is refused; its context, as it is. */
export interface CrossTenantCall {
  readonly tx: Transaction;
  readonly principal: Principal;
  readonly request: RequestInfo;
}

/** The refusal of what belongs to another tenant, with its alarm. */
export interface CrossTenantAccess {
  /** To be listed among the system's jobs. */
  readonly alarm: JobDefinition<typeof alarmInput>;
  /**
   * The 403 `forbidden` to be RETURNED: the audit entry `cross_tenant_access`, the event and the alarm
   * commit with it, and a throw would take them back. `resource` is what was asked for, `owner` the
   * tenant that it belongs to, which only the server's log is told.
   */
  refuse(
    call: CrossTenantCall,
    foreign: { readonly resource: string; readonly owner: string },
  ): Promise<ApiForgeError>;
}

/** How an alarm reaches whoever watches. Called again until it returns; `idempotencyKey` stays the same. */
export type RaiseAlarm = (
  attempt: CrossTenantAttempt,
  call: { readonly signal: AbortSignal; readonly idempotencyKey: string },
) => Promise<void>;

/**
 * What a handler does that finds its caller at another tenant's door: refuse, write it down, and tell
 * the security team the first time. Who tries a thousand times raises one alarm at a time; the audit
 * log has every attempt. `name` is that of the alarm's job; it goes on for half a day before it gives
 * up, in the queue `security`.
 */
export function crossTenantAccess(name: string, raise: RaiseAlarm): CrossTenantAccess {
  const alarm = defineJob(name, {
    queue: "security",
    input: alarmInput,
    // 13 hours: waits drawn at random would leave half of it on average, and there is no crowd to part.
    attempts: 24,
    backoff: exponential("2s", { max: "1h", jitter: "none" }),
    timeout: "15s",
    run: ({ input, signal, idempotencyKey }) => raise(input, { signal, idempotencyKey }),
  });
  return {
    alarm,
    async refuse({ tx, principal, request }, { resource, owner }) {
      const { subject, tenant } = principal;
      const tried = { subject, tenant, resource };
      tx.audit({ action: "cross_tenant_access", detail: { resource } });
      tx.emit(crossTenantAttempted, tried);
      const dedupeKey = hash("sha256", JSON.stringify([tenant, subject]));
      await tx.enqueue(alarm, { ...tried, requestId: request.id }, { dedupeKey });
      request.log.error({ ...tried, owner }, "cross-tenant access attempt");
      return forbidden();
    },
  };
}
