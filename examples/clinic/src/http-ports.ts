import { answerError, callProvider } from "apiforge/resilience";

import type { Crm, PatientMessages, PortCall } from "./ports.ts";

/** An HTTP endpoint that takes JSON by POST and drops what repeats an `Idempotency-Key`. */
export interface HttpPortOptions {
  readonly url: string;
  /** Time for one call; default 10 s. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 10_000;
/** Only the status of an answer is used. */
const maxBodyBytes = 65_536;

/** Text messages through an HTTP gateway: `POST {"to","body"}`. */
export function createHttpPatientMessages(options: HttpPortOptions): PatientMessages {
  return {
    send: (message, call) => postJson("The message gateway", options, message, call),
  };
}

/** Appointments into a customer relations system: `POST` of the appointment. */
export function createHttpCrm(options: HttpPortOptions): Crm {
  return {
    recordAppointment: (appointment, call) => postJson("The CRM", options, appointment, call),
  };
}

async function postJson(
  provider: string,
  { url, timeoutMs = defaultTimeoutMs }: HttpPortOptions,
  content: object,
  { signal, idempotencyKey }: PortCall,
): Promise<void> {
  const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
  const init = { method: "POST", headers, body: JSON.stringify(content), signal };
  const answer = await callProvider(url, init, { provider, timeoutMs, maxBodyBytes });
  if (!answer.ok) throw answerError(answer, provider);
}
