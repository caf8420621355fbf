import {
  notFound,
  type ApiForgeError,
  type CrossTenantAccess,
  type Principal,
  type RequestInfo,
  type Transaction,
} from "apiforge";

import { findPatient, type PatientDetails } from "./patients-table.ts";

/** What the audit log says of an access to a patient of the own practice. */
export type PatientAction = "patient_read" | "appointments_read" | "appointment_booked";

/** Who asks for which patient, to do what. */
export interface PatientAccess {
  readonly tx: Transaction;
  readonly principal: Principal;
  readonly request: RequestInfo;
  readonly patientId: string;
  readonly action: PatientAction;
}

/** Opens a patient's record for a caller. */
export type OpenPatient = (access: PatientAccess) => Promise<PatientDetails | ApiForgeError>;

/**
 * Makes the one way to a patient's record: whoever comes through it is in the audit log, and an
 * attempt on another practice's patient raises the alarm the first time.
 */
export function patientOpener(foreign: CrossTenantAccess): OpenPatient {
  /**
   * The patient, or the refusal to be RETURNED; see {@link CrossTenantAccess.refuse}.
   * @throws {not_found} for an id that nobody has.
   */
  return async function openPatient(access) {
    const { tx, principal, patientId, action } = access;
    const found = await findPatient(tx, principal.tenant, patientId);
    if (found.found === "none") throw notFound("No patient has this id.");
    if (found.found === "foreign")
      return foreign.refuse(access, { resource: patientId, owner: found.practice });
    tx.audit({ action, detail: { patientId } });
    return found.patient;
  };
}
