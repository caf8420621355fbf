import {
  ApiForgeError,
  defineRoute,
  listQuery,
  newId,
  pageOf,
  type CrossTenantAccess,
} from "apiforge";

import {
  bookSlot,
  listAppointments,
  visitDates,
  type AppointmentPosition,
} from "./appointments-table.ts";
import { appointmentBooked } from "./events.ts";
import { patientOpener, type OpenPatient } from "./patient-access.ts";
import { appointment, newAppointment, patient } from "./schema.ts";
import { readSlot } from "./slot.ts";

const tags = ["clinic"];
const roles = ["scheduling_agent"];

/** The routes of the clinic; `foreign` refuses attempts on other practices' patients. */
export function clinicRoutes(foreign: CrossTenantAccess) {
  const openPatient = patientOpener(foreign);
  return [bookRoute(openPatient), patientRoute(openPatient), appointmentsRoute(openPatient)];
}

function bookRoute(openPatient: OpenPatient) {
  return defineRoute({
    method: "POST",
    path: "/appointments",
    summary: "Book an appointment",
    tags,
    roles,
    idempotency: "required",
    body: newAppointment,
    replies: { 201: appointment },
    handler: async ({ body, principal, request, tx }) => {
      const { patientId, slotId, type } = body;
      const action = "appointment_booked";
      const opened = await openPatient({ tx, principal, request, patientId, action });
      if (ApiForgeError.is(opened)) return opened;
      const booked = await bookSlot(tx, {
        appointmentId: newId("appt"),
        tenant: principal.tenant,
        patientId,
        slot: readSlot(slotId),
        type,
        bookedBy: principal.subject,
        nowMs: Date.now(),
      });
      const { status: _, ...facts } = booked;
      tx.emit(appointmentBooked, { ...facts, practiceId: principal.tenant, patientId, slotId });
      return { status: 201, body: booked };
    },
  });
}

function patientRoute(openPatient: OpenPatient) {
  return defineRoute({
    method: "GET",
    path: "/patients/:id",
    summary: "Read a patient of the practice",
    tags,
    roles,
    transaction: "write",
    replies: { 200: patient },
    handler: async ({ params, principal, request, tx }) => {
      const { id: patientId } = params;
      const action = "patient_read";
      const opened = await openPatient({ tx, principal, request, patientId, action });
      if (ApiForgeError.is(opened)) return opened;
      const dates = await visitDates(tx, principal.tenant, patientId, clockOfPractice());
      return { status: 200, body: { ...opened, ...dates } };
    },
  });
}

function appointmentsRoute(openPatient: OpenPatient) {
  return defineRoute({
    method: "GET",
    path: "/patients/:id/appointments",
    summary: "List a patient's appointments, latest first",
    tags,
    roles,
    transaction: "write",
    query: listQuery({}),
    replies: { 200: pageOf(appointment) },
    handler: async ({ params, query, principal, request, tx, list }) => {
      const { id: patientId } = params;
      const action = "appointments_read";
      const before = list.position<AppointmentPosition>();
      const opened = await openPatient({ tx, principal, request, patientId, action });
      if (ApiForgeError.is(opened)) return opened;
      const { limit } = query;
      const page = { before, limit: limit + 1 };
      const rows = await listAppointments(tx, principal.tenant, patientId, page);
      const positionOf = (last: (typeof rows)[number]): AppointmentPosition => ({
        startsAt: `${last.date}T${last.time}`,
        id: last.appointmentId,
      });
      return { status: 200, body: list.page(rows, limit, positionOf) };
    },
  });
}

/** The time as slots write it. The practices of this example keep UTC. */
function clockOfPractice(): string {
  return new Date().toISOString().slice(0, 16);
}
