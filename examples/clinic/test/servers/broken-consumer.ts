// The clinic with one consumer, named by BROKEN_CONSUMER, that fails on every event.
import { createSlackWebhook } from "@apiforge/connector-slack";
import { createForge, runForge, type ConsumerDefinition } from "apiforge";

import { clinic, createHttpCrm, createHttpPatientMessages } from "../../src/index.ts";

const broken = process.env["BROKEN_CONSUMER"];

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function breakConsumer(consumer: ConsumerDefinition): ConsumerDefinition {
  if (consumer.name !== broken) return consumer;
  return { ...consumer, handle: () => Promise.reject(new Error("This consumer is broken")) };
}

const system = clinic({
  messages: createHttpPatientMessages({ url: setting("CLINIC_SMS_URL") }),
  crm: createHttpCrm({ url: setting("CLINIC_CRM_URL") }),
  alarms: createSlackWebhook({ url: setting("SLACK_WEBHOOK_URL") }),
});

await runForge(
  await createForge({ ...system, consumers: (system.consumers ?? []).map(breakConsumer) }),
);
