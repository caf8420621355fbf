import { createSlackWebhook, type SlackWebhook } from "@apiforge/connector-slack";
import {
  createHttpCrm,
  createHttpPatientMessages,
  type Crm,
  type PatientMessages,
} from "@apiforge/example-clinic";
import type { Mailer } from "@apiforge/example-public-api";

import { startSandboxProcess } from "./sandbox-process.ts";
import { readSmtp, sandboxSmtp } from "./smtp.ts";
import { readTwilio, sandboxTwilio, type TwilioSender } from "./twilio.ts";

/** The providers that the example systems talk to: the real ones where they are configured. */
export interface Providers {
  readonly slack: SlackWebhook;
  readonly messages: PatientMessages;
  readonly crm: Crm;
  readonly twilio: TwilioSender;
  readonly mailer: Mailer;
  /** Where the sandbox shows what it received; undefined when every provider is real. */
  readonly sandboxUrl: string | undefined;
  stop(): Promise<void>;
}

/** The variable that names each provider's URL, and its path in the sandbox. */
const endpoints = {
  slack: {
    variable: "SLACK_WEBHOOK_URL",
    path: "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
  },
  messages: { variable: "CLINIC_SMS_URL", path: "/sms/" },
  crm: { variable: "CLINIC_CRM_URL", path: "/crm/" },
} as const;

/**
 * Connects to the providers whose variables are set, and to a sandbox of this machine for the rest.
 * @throws {config_invalid} naming what cannot be used.
 */
export async function connectProviders(
  environment: NodeJS.ProcessEnv,
  sandboxPort: number,
): Promise<Providers> {
  // An empty variable counts as absent.
  const given = (name: keyof typeof endpoints) =>
    environment[endpoints[name].variable] || undefined;
  const twilio = readTwilio(environment);
  const mailer = readSmtp(environment);
  const isReal = given("slack") && given("messages") && given("crm") && twilio && mailer;
  const sandbox = isReal ? undefined : await startSandboxProcess(sandboxPort);
  const urlOf = (name: keyof typeof endpoints): string =>
    given(name) ?? `${sandbox?.url}${endpoints[name].path}`;
  return {
    slack: createSlackWebhook({ url: urlOf("slack") }),
    messages: createHttpPatientMessages({ url: urlOf("messages") }),
    crm: createHttpCrm({ url: urlOf("crm") }),
    twilio: twilio ?? sandboxTwilio(environment, `${sandbox?.url}`),
    mailer: mailer ?? sandboxSmtp(environment, `${sandbox?.url}`),
    sandboxUrl: sandbox?.url,
    stop: async () => sandbox?.stop(),
  };
}
