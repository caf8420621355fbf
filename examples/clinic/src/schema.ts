import { z } from "zod";

/** Body of `POST /appointments`. */
export const newAppointment = z.object({
  patientId: z.string().min(1).max(100),
  slotId: z.string().min(1).max(100),
  type: z
    .string()
    .max(60)
    .regex(/^[a-z][a-z0-9_]*$/, "use lower-case letters, digits and underscores"),
});

/** An appointment as agents see it. */
export const appointment = z.object({
  appointmentId: z.string(),
  status: z.literal("confirmed"),
  date: z.string(),
  time: z.string(),
  type: z.string(),
});
export type Appointment = z.infer<typeof appointment>;

/**
 * A patient as agents see one. This list is what leaves: a field that the table has and the list
 * has not stays inside, whoever adds it.
 */
export const patient = z.object({
  id: z.string(),
  firstName: z.string(),
  lastName: z.string(),
  dateOfBirth: z.string(),
  phone: z.string(),
  email: z.string().nullable(),
  insuranceProvider: z.string().nullable(),
  /** `2026-04-24T10:00` on the practice's clock. */
  nextAppointment: z.string().nullable(),
  lastVisit: z.string().nullable(),
});
export type Patient = z.infer<typeof patient>;
