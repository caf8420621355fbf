import { createTwilioMessaging } from "@apiforge/connector-twilio";
import { startSandboxProcess, storeNames } from "@apiforge/testing";
import type { JobContext, JobDefinition, Transaction } from "apiforge";
import { describe, expect, onTestFinished, test } from "vitest";
import type { z } from "zod";

import { forgetMessagesJob } from "../src/forget-messages.ts";
import { parsePriceList } from "../src/prices.ts";
import { sendMessage } from "../src/send-message.ts";
import { beginSend, recordSent, settleSend } from "../src/sends-table.ts";
import { settleLeftoversJob } from "../src/settle-leftovers.ts";
import { settlePriceJob } from "../src/settle-price.ts";
import { ledgerStore } from "./ledger-store.ts";

const nowMs = Date.UTC(2026, 10, 21);

/** Twilio as the sandbox plays it, stopped when the test ends. */
async function twilioForTest() {
  const sandbox = await startSandboxProcess();
  onTestFinished(() => sandbox.stop());
  await sandbox.controlTwilio("PUT", "callbacks", { delayMs: 0 });
  const { TWILIO_ACCOUNT_SID: accountSid = "", TWILIO_AUTH_TOKEN: authToken = "" } =
    sandbox.twilioEnv;
  return {
    sandbox,
    twilio: createTwilioMessaging({ accountSid, authToken, baseUrl: sandbox.url }),
  };
}

describe.for(storeNames)("what follows a message, %s", (name) => {
  const store = ledgerStore(name);
  let batches = 0;

  /** Messages of a batch of their own that Twilio has taken. */
  async function sentBatch(count: number): Promise<string> {
    const batchId = `batch_${++batches}`;
    await store.commit(async (tx) => {
      for (let index = 0; index < count; index++) {
        const key = `${batchId}:${index}`;
        const facts = { tenant: batchId, batchId, to: "+15551230001", mostMicros: 10 };
        await beginSend(tx, { ...facts, key, capMicros: 1_000_000, nowMs });
        await recordSent(tx, key, `SM${key}`, nowMs);
      }
    });
    return batchId;
  }

  /** Runs one attempt of a job as its worker would, on this store. */
  async function attempt<S extends z.ZodType>(
    job: JobDefinition<S>,
    input: z.output<S>,
    attemptNumber = 1,
  ): Promise<void> {
    const context: Omit<JobContext<z.output<S>>, "input"> = {
      id: "job_1",
      attempt: attemptNumber,
      maxAttempts: job.attempts,
      tenant: "ten_1",
      requestId: "req_1",
      idempotencyKey: "job_1",
      signal: new AbortController().signal,
      complete: (effects) => store.commit(effects),
      commit: (effects) => store.commit(effects),
    };
    await job.run({ ...context, input } as Parameters<typeof job.run>[0]);
  }

  async function jobsOf(type: string, part: string): Promise<readonly { payload: string }[]> {
    return store.read(
      (reader) => reader.sql<{ payload: string }>`
        select payload from forge_jobs where type = ${type} and payload like ${`%${part}%`}`,
    );
  }

  const count = (batchId: string): Promise<number> =>
    store.read(async (reader) => {
      const rows = await reader.sql`select 1 as one from message_sends where batch_id = ${batchId}`;
      return rows.length;
    });

  test("prices that no callback led to are asked for, page by page", async () => {
    const { twilio } = await twilioForTest();
    const batchId = await sentBatch(250);
    await store.commit((tx) => settleSend(tx, `${batchId}:7`, 3));
    const job = settleLeftoversJob(settlePriceJob(twilio));
    await attempt(job, { batchId, after: "" });
    expect(await jobsOf("settle-message-price", batchId)).toHaveLength(200);
    const [next] = await jobsOf("settle-leftover-prices", batchId);
    await attempt(job, JSON.parse(next?.payload ?? "") as { batchId: string; after: string });
    expect(await jobsOf("settle-message-price", batchId)).toHaveLength(249);
    expect(await jobsOf("settle-leftover-prices", batchId)).toHaveLength(1);
  });

  test("messages past their retention are deleted a bounded number at a time", async () => {
    const batchId = await sentBatch(1_050);
    const other = await sentBatch(1);
    const job = forgetMessagesJob();
    await attempt(job, { batchId });
    expect(await count(batchId)).toBe(50);
    expect(await jobsOf("forget-messages", batchId)).toHaveLength(1);
    await attempt(job, { batchId });
    expect([await count(batchId), await count(other)]).toEqual([0, 1]);
    expect(await jobsOf("forget-messages", batchId)).toHaveLength(1);
  });

  test("a price that Twilio never tells is given up with the last attempt", async () => {
    const { sandbox, twilio } = await twilioForTest();
    await sandbox.controlTwilio("PUT", "callbacks", { delayMs: 600_000 });
    const to = "+15551230001";
    const { sid } = await twilio.sendMessage({ to, from: "+15005550006", body: "Hello" });
    const [batchId, key] = [`batch_${++batches}`, `unpriced_${name}`];
    await store.commit(async (tx) => {
      const facts = { tenant: key, batchId, to, mostMicros: 10, capMicros: 1_000, nowMs };
      await beginSend(tx, { ...facts, key });
      await recordSent(tx, key, sid, nowMs);
    });
    const job = settlePriceJob(twilio);
    await expect(attempt(job, { key, sid })).rejects.toMatchObject({ code: "job_retry_later" });
    await attempt(job, { key, sid }, job.attempts);
    const spend = await store.read(
      (reader) => reader.sql`
        select reserved_micros, spent_micros from message_spend where tenant = ${key}`,
    );
    expect(spend).toMatchObject([{ reserved_micros: 0, spent_micros: 10 }]);
  });

  test("without a URL to call back, the price is asked for later", async () => {
    const { sandbox, twilio } = await twilioForTest();
    const key = `uncalled_${name}:0`;
    const commit = <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => store.commit(work);
    const settings = {
      twilio,
      from: "+15005550006",
      prices: parsePriceList("+=0.01"),
      capMicros: 1_000_000,
      callbackUrl: async () => undefined,
    };
    const { signal } = new AbortController();
    const message = {
      key,
      tenant: key,
      batchId: key,
      to: "+15551230001",
      body: "Hi",
      signal,
      commit,
    };
    const { sid } = await sendMessage(settings, settlePriceJob(twilio), message);
    const shown = await sandbox.controlTwilio("GET", "messages");
    expect(shown).toMatchObject({ messages: [{ sid }] });
    expect(JSON.stringify(shown)).not.toContain("StatusCallback");
    expect(await jobsOf("settle-message-price", key)).toHaveLength(1);
    // Sent already: a second attempt asks nobody.
    expect(await sendMessage(settings, settlePriceJob(twilio), message)).toEqual({ sid });
    expect(await sandbox.controlTwilio("GET", "messages")).toMatchObject({ total: 1 });
  });

  test("a number without a price is not sent to", async () => {
    const { sandbox, twilio } = await twilioForTest();
    const settings = {
      twilio,
      from: "+15005550006",
      prices: parsePriceList("+44=0.05"),
      capMicros: 1_000_000,
      callbackUrl: async () => undefined,
    };
    const { signal } = new AbortController();
    const key = `unknown_${name}:0`;
    const message = { key, tenant: key, batchId: key, to: "+15551230001", body: "Hi", signal };
    const sent = sendMessage(settings, settlePriceJob(twilio), {
      ...message,
      commit: (work) => store.commit(work),
    });
    await expect(sent).rejects.toMatchObject({ code: "job_not_retriable", retryable: false });
    expect(await sandbox.controlTwilio("GET", "messages")).toMatchObject({ total: 0 });
  });
});
