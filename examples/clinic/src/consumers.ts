import {
  defineConsumer,
  type ConsumerDefinition,
  type JobDefinition,
  type LogEvent,
  type Transaction,
} from "apiforge";
import type { z } from "zod";

import type { crmAppointmentInput } from "./crm-appointment.ts";
import { appointmentBooked } from "./events.ts";
import type { patientMessageInput } from "./patient-message.ts";

/** The jobs that consumers hand on to what is slow. */
export interface ConsumerJobs {
  readonly patientMessage: JobDefinition<typeof patientMessageInput>;
  readonly crmAppointment: JobDefinition<typeof crmAppointmentInput>;
}

type Booked = z.infer<typeof appointmentBooked.schema>;

const events = [appointmentBooked.name];

/** Who hears of a booking. Each has its own place in the log, so one that fails delays nobody. */
export function clinicConsumers(jobs: ConsumerJobs): readonly ConsumerDefinition[] {
  return [
    defineConsumer("clinic-patient-sms", {
      events,
      handle: ({ event, tx }) => tellPatient(tx, readBooked(event), jobs.patientMessage),
    }),
    defineConsumer("clinic-crm", {
      events,
      handle: async ({ event, tx }) => {
        const { slotId: _, ...appointment } = readBooked(event);
        await tx.enqueue(jobs.crmAppointment, appointment);
      },
    }),
    defineConsumer("clinic-analytics", {
      events,
      handle: ({ event, tx }) => countBooking(tx, event),
    }),
  ];
}

function readBooked(event: LogEvent): Booked {
  return appointmentBooked.schema.parse(JSON.parse(event.data));
}

async function tellPatient(
  tx: Transaction,
  { practiceId, patientId, date, time }: Booked,
  job: ConsumerJobs["patientMessage"],
): Promise<void> {
  const [patient] = await tx.sql<{ phone: string }>`
    select phone from patients where tenant = ${practiceId} and id = ${patientId}`;
  if (patient === undefined) return;
  // What kind of appointment it is stays between patient and practice: a phone lies around.
  const body = `Your appointment on ${date} at ${time} is confirmed.`;
  await tx.enqueue(job, { to: patient.phone, body });
}

/** Adds one to the practice's bookings of that day. Nobody else writes the row: a consumer is one at a time. */
async function countBooking(tx: Transaction, event: LogEvent): Promise<void> {
  const day = new Date(event.createdAt).toISOString().slice(0, 10);
  const counted = await tx.sql`
    update daily_bookings set bookings = bookings + 1
    where tenant = ${event.tenant} and day = ${day} returning bookings`;
  if (counted.length > 0) return;
  await tx.sql`
    insert into daily_bookings (tenant, day, bookings) values (${event.tenant}, ${day}, 1)`;
}
