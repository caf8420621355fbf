import type { Reader } from "apiforge";

import type { Patient } from "./schema.ts";

/** A row of `patients` as far as it is read, and whose patient it is. */
interface PatientRow {
  readonly practice: string;
  readonly id: string | null;
  readonly first_name: string;
  readonly last_name: string;
  readonly date_of_birth: string;
  readonly phone: string;
  readonly email: string | null;
  readonly insurance_provider: string | null;
}

/** What an id stands for, to one practice. */
export type FoundPatient =
  | { readonly found: "own"; readonly patient: PatientDetails }
  | { readonly found: "foreign"; readonly practice: string }
  | { readonly found: "none" };

/** A patient without the dates that follow from appointments. */
export type PatientDetails = Omit<Patient, "nextAppointment" | "lastVisit">;

/** Looks a patient up. Another practice's row is not read, only that there is one. */
export async function findPatient(tx: Reader, tenant: string, id: string): Promise<FoundPatient> {
  const [row] = await tx.sql<PatientRow>`
    select owner.tenant as practice, patient.id, patient.first_name, patient.last_name,
      patient.date_of_birth, patient.phone, patient.email, patient.insurance_provider
    from patient_practices owner
    left join patients patient
      on patient.tenant = owner.tenant and patient.id = owner.patient_id
      and patient.tenant = ${tenant}
    where owner.patient_id = ${id}`;
  if (row === undefined) return { found: "none" };
  if (row.practice !== tenant || row.id === null)
    return { found: "foreign", practice: row.practice };
  return { found: "own", patient: toPatient(row, row.id) };
}

function toPatient(row: PatientRow, id: string): PatientDetails {
  return {
    id,
    firstName: row.first_name,
    lastName: row.last_name,
    dateOfBirth: row.date_of_birth,
    phone: row.phone,
    email: row.email,
    insuranceProvider: row.insurance_provider,
  };
}
