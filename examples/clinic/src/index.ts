import type { SlackWebhook } from "@apiforge/connector-slack";
import { crossTenantAccess, type System } from "apiforge";

import { clinicConsumers } from "./consumers.ts";
import { clinicMigrations } from "./migrations.ts";
import { patientMessageJob } from "./patient-message.ts";
import type { Crm, PatientMessages } from "./ports.ts";
import { crmAppointmentJob } from "./crm-appointment.ts";
import { clinicRoutes } from "./routes.ts";
import { alarmInSlack } from "./security-alarm.ts";

export { createHttpCrm, createHttpPatientMessages } from "./http-ports.ts";
export type { Crm, CrmAppointment, PatientMessage, PatientMessages, PortCall } from "./ports.ts";

/** What the clinic system talks to. */
export interface ClinicPorts {
  readonly messages: PatientMessages;
  readonly crm: Crm;
  /** Where the security team is told of attempts to reach another practice's patients. */
  readonly alarms: SlackWebhook;
}

/**
 * The clinic system: appointments of the patients of many practices. A token's tenant is the
 * practice, and nobody reaches another practice's rows.
 */
export function clinic({ messages, crm, alarms }: ClinicPorts): System {
  const patientMessage = patientMessageJob(messages);
  const crmAppointment = crmAppointmentJob(crm);
  const foreign = crossTenantAccess("clinic-security-alarm", alarmInSlack(alarms));
  return {
    routes: clinicRoutes(foreign),
    jobs: [patientMessage, crmAppointment, foreign.alarm],
    consumers: clinicConsumers({ patientMessage, crmAppointment }),
    migrations: clinicMigrations,
  };
}
