import { hash } from "node:crypto";
import {
  forbidden,
  notFound,
  type ApiForgeError,
  type JobDefinition,
  type Principal,
  type RequestInfo,
  type Transaction,
} from "apiforge";

import { recordAudit, type AuditAction } from "./audit.ts";
import { crossTenantAccess } from "./events.ts";
import { findPatient, type PatientDetails } from "./patients-table.ts";
import type { securityAlarmInput } from "./security-alarm.ts";

/** Who asks for which patient, to do what. */
export interface PatientAccess {
  readonly tx: Transaction;
  readonly principal: Principal;
  readonly request: RequestInfo;
  readonly patientId: string;
  readonly action: AuditAction;
}

/** Opens a patient's record for a caller. */
export type OpenPatient = (access: PatientAccess) => Promise<PatientDetails | ApiForgeError>;

/**
 * Makes the one way to a patient's record: whoever comes through it is in the audit log, and an
 * attempt on another practice's patient raises the alarm the first time.
 */
export function patientOpener(alarm: JobDefinition<typeof securityAlarmInput>): OpenPatient {
  /**
   * The patient, or the refusal to be RETURNED: its audit row, event and alarm commit with it, and a
   * throw would take them back.
   * @throws {not_found} for an id that nobody has.
   */
  return async function openPatient(access) {
    const { tx, principal, request, patientId, action } = access;
    const entry = { principal, patientId, requestId: request.id };
    const found = await findPatient(tx, principal.tenant, patientId);
    if (found.found === "none") throw notFound("No patient has this id.");
    if (found.found === "own") {
      await recordAudit(tx, { ...entry, action, patientTenant: principal.tenant });
      return found.patient;
    }
    await recordAudit(tx, {
      ...entry,
      action: "cross_tenant_access",
      patientTenant: found.practice,
    });
    const attempt = { subject: principal.subject, practiceId: principal.tenant, patientId };
    tx.emit(crossTenantAccess, attempt);
    // Whoever tries a thousand times raises one alarm at a time; the audit log has every attempt.
    const dedupeKey = hash("sha256", JSON.stringify([attempt.practiceId, attempt.subject]));
    await tx.enqueue(alarm, { ...attempt, requestId: request.id }, { dedupeKey });
    request.log.error(attempt, "cross-tenant access attempt");
    return forbidden();
  };
}
