/** What every call of a port is given beside its content. */
export interface PortCall {
  readonly signal: AbortSignal;
  /** Equal whenever the same call is made again, so that the other side can drop the repeat. */
  readonly idempotencyKey: string;
}

/** A text message to a patient. */
export interface PatientMessage {
  /** Phone number, E.164. */
  readonly to: string;
  readonly body: string;
}

/** Sends text messages to patients. */
export interface PatientMessages {
  /** Sends once; the job that calls it owns the retries. */
  send(message: PatientMessage, call: PortCall): Promise<void>;
}

/** An appointment as the customer relations system keeps it. */
export interface CrmAppointment {
  readonly appointmentId: string;
  readonly practiceId: string;
  readonly patientId: string;
  readonly date: string;
  readonly time: string;
  readonly type: string;
}

/** The customer relations system. */
export interface Crm {
  /** Records once; the job that calls it owns the retries. */
  recordAppointment(appointment: CrmAppointment, call: PortCall): Promise<void>;
}
