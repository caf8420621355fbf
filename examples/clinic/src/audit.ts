import { newId, type Principal, type Transaction } from "apiforge";

/** What is written down about patients. */
export type AuditAction =
  | "patient_read"
  | "appointments_read"
  | "appointment_booked"
  | "cross_tenant_access";

/** One line of the audit log. */
export interface AuditEntry {
  readonly action: AuditAction;
  readonly principal: Principal;
  readonly patientId: string;
  /** The practice that the patient belongs to. */
  readonly patientTenant: string;
  readonly requestId: string;
}

/** Adds a line to the audit log of the caller's practice. The table takes no changes and no deletes. */
export async function recordAudit(tx: Transaction, entry: AuditEntry): Promise<void> {
  const { action, principal, patientId, patientTenant, requestId } = entry;
  await tx.sql`
    insert into patient_audit
      (tenant, id, action, subject, patient_id, patient_tenant, request_id, at)
    values (${principal.tenant}, ${newId("aud")}, ${action}, ${principal.subject}, ${patientId},
      ${patientTenant}, ${requestId}, ${Date.now()})`;
}
