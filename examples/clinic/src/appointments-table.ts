import { ApiForgeError, conflict, sql, type Reader, type Transaction } from "apiforge";

import type { Appointment, Patient } from "./schema.ts";
import type { Slot } from "./slot.ts";

/** A booking to be made. */
export interface Booking {
  readonly appointmentId: string;
  readonly tenant: string;
  readonly patientId: string;
  readonly slot: Slot;
  readonly type: string;
  readonly bookedBy: string;
  readonly nowMs: number;
}

/**
 * Books a slot: the appointment and the slot's row, whose key is the practice and the slot, so that
 * of many bookings at once the database lets one through.
 * @throws {slot_unavailable} 409 for all others; nothing of the request stays.
 */
export async function bookSlot(tx: Transaction, booking: Booking): Promise<Appointment> {
  const { appointmentId, tenant, slot } = booking;
  const { date, time } = slot;
  await tx.sql`
    insert into appointments
      (tenant, id, patient_id, slot_id, starts_at, type, booked_by, booked_at)
    values (${tenant}, ${appointmentId}, ${booking.patientId}, ${slot.id}, ${`${date}T${time}`},
      ${booking.type}, ${booking.bookedBy}, ${booking.nowMs})`;
  try {
    await tx.sql`
      insert into appointment_slots (tenant, id, appointment_id)
      values (${tenant}, ${slot.id}, ${appointmentId})`;
  } catch (error) {
    throw isTaken(error) ? slotUnavailable() : error;
  }
  return { appointmentId, status: "confirmed", date, time, type: booking.type };
}

function isTaken(error: unknown): boolean {
  return ApiForgeError.is(error) && error.code === "unique_violation";
}

function slotUnavailable(): ApiForgeError {
  return conflict("slot_unavailable", "This slot is taken. Choose another.", "body.slotId");
}

/** What a page of a patient's appointments is chosen by; the latest come first. */
export interface AppointmentPage {
  /** The last appointment of the page before. */
  readonly before: AppointmentPosition | undefined;
  readonly limit: number;
}

/** Where an appointment stands in the list. */
export type AppointmentPosition = { readonly startsAt: string; readonly id: string };

/** The appointments of one patient of this practice. */
export async function listAppointments(
  tx: Reader,
  tenant: string,
  patientId: string,
  { before, limit }: AppointmentPage,
): Promise<Appointment[]> {
  const rest =
    before === undefined ? sql`` : sql`and (starts_at, id) < (${before.startsAt}, ${before.id})`;
  const rows = await tx.sql<{ id: string; starts_at: string; type: string }>`
    select id, starts_at, type from appointments
    where tenant = ${tenant} and patient_id = ${patientId} ${rest}
    order by starts_at desc, id desc limit ${limit}`;
  return rows.map(({ id, starts_at, type }) => {
    const [date = "", time = ""] = starts_at.split("T");
    return { appointmentId: id, status: "confirmed", date, time, type };
  });
}

/** The next and the last appointment of a patient, as seen at `now` on the practice's clock. */
export async function visitDates(
  tx: Reader,
  tenant: string,
  patientId: string,
  now: string,
): Promise<Pick<Patient, "nextAppointment" | "lastVisit">> {
  const own = sql`tenant = ${tenant} and patient_id = ${patientId}`;
  const [dates] = await tx.sql<{ next: string | null; last: string | null }>`
    select (select min(starts_at) from appointments where ${own} and starts_at >= ${now}) as next,
      (select max(starts_at) from appointments where ${own} and starts_at < ${now}) as last`;
  return { nextAppointment: dates?.next ?? null, lastVisit: dates?.last ?? null };
}
