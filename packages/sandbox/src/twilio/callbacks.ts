import { setTimeout as wait } from "node:timers/promises";
import { readBoolean, readFields, readInteger } from "../json-fields.ts";
import type { ControlResource } from "../provider.ts";
import { createRequestLog } from "../request-log.ts";
import { callbackForm, type Message, type MessageStatus } from "./message.ts";
import type { Ending } from "./numbers.ts";
import { signForm } from "./signature.ts";

const maxAtOnce = 16;
// twilio.com/docs/usage/webhooks/webhooks-connection-overrides: the default read timeout.
const answerTimeoutMs = 15_000;

/** How messages go on after they were taken. */
interface Progress {
  /** Milliseconds before each status. */
  readonly delayMs: number;
  /** Times that each callback is posted. */
  readonly copies: number;
  /** True: the last status is posted first. */
  readonly reversed: boolean;
}

/** What is kept of a callback; its `status` is that of the answer. */
interface CallbackFields {
  readonly sentAt: string;
  readonly messageSid: string;
  readonly messageStatus: MessageStatus;
  readonly url: string;
}

/** Moves messages from `queued` to their end, and tells their `StatusCallback` each status. */
export interface Callbacks {
  follow(message: Message, ending: Ending): void;
  /** `GET` shows the settings and the latest callbacks, `PUT` changes the settings, `DELETE` forgets the callbacks. */
  readonly control: ControlResource;
  stop(): void;
}

/** Callbacks signed with `authToken`, as Twilio posts them: once, whatever the answer is. */
export function createCallbacks(
  authToken: string,
  priceOf: (message: Message) => string,
  now: () => number,
): Callbacks {
  const log = createRequestLog<CallbackFields>();
  const stopped = new AbortController();
  const gate = createGate(maxAtOnce);
  let progress: Progress = { delayMs: 20, copies: 1, reversed: false };

  async function run(message: Message, ending: Ending): Promise<void> {
    const statuses: readonly MessageStatus[] = ["queued", "sent", ending.status];
    const { delayMs, copies, reversed } = progress;
    const late: MessageStatus[] = [];
    for (const status of statuses) {
      await wait(delayMs, undefined, { signal: stopped.signal });
      advance(message, status, ending);
      if (reversed) late.unshift(status);
      else await tell(message, status, copies);
    }
    for (const status of late) await tell(message, status, copies);
  }

  function advance(message: Message, status: MessageStatus, ending: Ending): void {
    message.status = status;
    message.updatedAtMs = now();
    if (status === "sent") {
      message.sentAtMs = now();
      message.price = priceOf(message);
    }
    if (status === ending.status) message.errorCode = ending.errorCode;
  }

  async function tell(message: Message, status: MessageStatus, copies: number): Promise<void> {
    const url = message.statusCallback;
    if (url === undefined) return;
    const form = callbackForm(message, status);
    for (let copy = 0; copy < copies; copy++)
      await gate(() => post(url, form, message.sid, status));
  }

  async function post(
    url: string,
    form: Readonly<Record<string, string>>,
    messageSid: string,
    messageStatus: MessageStatus,
  ): Promise<void> {
    const sentAt = new Date(now()).toISOString();
    const setStatus = log.add({ sentAt, messageSid, messageStatus, url }, url.length);
    try {
      const answer = await fetch(url, {
        method: "POST",
        body: new URLSearchParams(form),
        redirect: "manual",
        headers: {
          "x-twilio-signature": signForm(authToken, url, form),
          "user-agent": "TwilioProxy/1.1",
        },
        signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(answerTimeoutMs)]),
      });
      setStatus(answer.status);
      await answer.body?.cancel();
    } catch {
      // Nobody answered; the log shows it, and Twilio does not try again either.
    }
  }

  return {
    follow(message, ending) {
      run(message, ending).catch((error: unknown) => {
        if (!stopped.signal.aborted) throw error;
      });
    },
    control: {
      GET: () => ({ ...progress, callbacks: log.list() }),
      PUT(body) {
        const fields = readFields(body, ["delayMs", "copies", "reversed"]);
        progress = {
          delayMs: readInteger(fields, "delayMs", {
            min: 0,
            max: 600_000,
            fallback: progress.delayMs,
          }),
          copies: readInteger(fields, "copies", { min: 0, max: 10, fallback: progress.copies }),
          reversed: readBoolean(fields, "reversed", progress.reversed),
        };
        return progress;
      },
      DELETE: () => log.clear(),
    },
    stop: () => stopped.abort(),
  };
}

/** Lets up to `limit` of what it is given run at once, in the order given. */
function createGate(limit: number): (work: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async function pass(work) {
    if (running >= limit) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
    } else {
      running++;
    }
    try {
      await work();
    } finally {
      const next = waiting.shift();
      // A place is handed on as it is, so nobody can take it in between.
      if (next === undefined) running--;
      else next();
    }
  };
}
