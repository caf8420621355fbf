import { createHmac } from "node:crypto";
import {
  eventually,
  type Deployment,
  type HttpRequest,
  type HttpResponse,
  type ReadyServer,
  type StoreName,
} from "@apiforge/testing";
import type { ScenarioRun } from "@apiforge/testing/scenario";
import { serveDuringTests } from "@apiforge/testing/served";
import { beforeAll, expect } from "vitest";

/** Who calls. */
const callers = {
  priya: { sub: "usr_9f3k2m", tenant: "ten_apiforge" },
  /** Another user of priya's tenant. */
  sam: { sub: "usr_sam", tenant: "ten_apiforge" },
  /** A user of another tenant with priya's subject. */
  stranger: { sub: "usr_9f3k2m", tenant: "ten_other" },
} as const;
export type Caller = keyof typeof callers;

export interface Message {
  readonly to: string;
  readonly body: string;
}

/** A job's status as the API answers it. */
export interface JobView {
  readonly jobId: string;
  readonly status: string;
  readonly total: number;
  readonly processed: number;
  readonly failed: number;
  readonly completedAt?: string;
  readonly failedNumbers?: readonly string[];
}

/** A request for a message that the sandbox's Twilio received. */
export interface TwilioRequest {
  readonly form: Readonly<Record<string, string>>;
  readonly status: number | null;
  readonly sid: string | null;
}

/** The real server with the bulk messages on an empty store. */
export interface Stage extends ScenarioRun {
  readonly deployment: () => Deployment;
  readonly server: () => ReadyServer;
  send(request: Omit<HttpRequest, "token"> & { readonly as?: Caller }): Promise<HttpResponse>;
  /** Accepts a job, which must succeed; answers its id. */
  submit(messages: readonly Message[], as?: Caller): Promise<string>;
  status(jobId: string): Promise<JobView>;
  /** Waits until the job has ended. */
  ended(jobId: string): Promise<JobView>;
  /** What Twilio was asked to send with a text that holds `part`, in order. */
  asked(part: string): Promise<readonly TwilioRequest[]>;
  control(method: "PUT" | "DELETE", resource: string, body?: object): Promise<void>;
  /** Runs `work` while Twilio behaves otherwise: a fault, or settings of the callbacks. */
  whileTwilio<T>(other: { fault?: object; callbacks?: object }, work: () => Promise<T>): Promise<T>;
  /** Posts a status callback, signed unless told otherwise. */
  callback(
    form: Readonly<Record<string, string>>,
    options?: { readonly query?: string; readonly signature?: string | null },
  ): Promise<HttpResponse>;
  rows(
    sql: string,
    values?: readonly string[],
  ): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

const countRows = `select
  (select count(*) from message_sends) as sends,
  (select count(*) from forge_batches) as batches,
  (select count(*) from forge_jobs) as jobs,
  (select count(*) from forge_events) as events,
  (select count(*) from forge_idempotency) as answers`;
const jobDeadlineMs = 25_000;
const authToken = "0".repeat(32);

/** Starts a server before the tests of the surrounding suite and stops it after them. */
export function bulkStage(store: StoreName, env: Readonly<Record<string, string>> = {}): Stage {
  const { deployment, server, client } = serveDuringTests(store, {}, { env });
  beforeAll(async () => {
    await deployment().sandbox.controlTwilio("PUT", "callbacks", { delayMs: 0 });
  });

  const token = (name: string): Promise<string> => deployment().token(callers[name as Caller]);

  async function send({ as = "priya", ...request }: Parameters<Stage["send"]>[0]) {
    return client().request({ ...request, token: await token(as) });
  }

  async function status(jobId: string): Promise<JobView> {
    const answer = await send({ path: `/bulk-messages/${jobId}/status` });
    expect(answer.status, answer.body).toBe(200);
    return answer.json() as JobView;
  }

  return {
    client,
    deployment,
    server,
    token,
    send,
    status,
    async submit(messages, as = "priya") {
      const request = { method: "POST", path: "/bulk-messages", as, body: { messages } };
      const answer = await send(request);
      expect(answer.status, answer.body).toBe(202);
      return (answer.json() as { jobId: string }).jobId;
    },
    async ended(jobId) {
      let view = await status(jobId);
      await eventually(
        `the end of ${jobId}`,
        async () => {
          view = await status(jobId);
          return view.completedAt !== undefined;
        },
        jobDeadlineMs,
      );
      return view;
    },
    async asked(part) {
      const shown = await deployment().sandbox.controlTwilio("GET", "messages");
      const { messages } = shown as { messages: readonly TwilioRequest[] };
      return messages.filter(({ form }) => form["Body"]?.includes(part) === true);
    },
    async control(method, resource, body) {
      await deployment().sandbox.controlTwilio(method, resource, body);
    },
    async whileTwilio({ fault, callbacks }, work) {
      const { sandbox } = deployment();
      if (callbacks !== undefined) await sandbox.controlTwilio("PUT", "callbacks", callbacks);
      if (fault !== undefined) await sandbox.controlTwilio("PUT", "fault", fault);
      try {
        return await work();
      } finally {
        await sandbox.controlTwilio("DELETE", "fault");
        const usual = { delayMs: 0, copies: 1, reversed: false };
        await sandbox.controlTwilio("PUT", "callbacks", usual);
      }
    },
    async callback(form, { query = "", signature } = {}) {
      const url = `${server().url}/webhooks/twilio/status${query}`;
      const signed = Object.keys(form)
        .toSorted()
        .reduce((text, name) => text + name + (form[name] ?? ""), url);
      const valid = createHmac("sha1", authToken).update(signed).digest("base64");
      const header = signature === undefined ? valid : signature;
      return client().request({
        method: "POST",
        path: `/webhooks/twilio/status${query}`,
        rawBody: new URLSearchParams(form).toString(),
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          ...(header === null ? {} : { "x-twilio-signature": header }),
        },
      });
    },
    rows: (sql, values = []) => deployment().inspect((raw) => raw.all(sql, [...values])),
    storedRows: () =>
      deployment().inspect(async (raw) => {
        const [row] = await raw.all(countRows);
        return row as Record<string, number>;
      }),
  };
}

let texts = 0;
/** Messages to numbers of their own, with a text that no other test sends. */
export function messagesTo(...recipients: readonly string[]): {
  readonly text: string;
  readonly messages: readonly Message[];
} {
  const text = `text ${++texts}.`;
  return { text, messages: recipients.map((to) => ({ to, body: `${text} Hello` })) };
}

/** That many valid numbers. */
export function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `+1555${String(1_000_000 + n)}`);
}
