import {
  mayHaveBeenSent,
  countSegments,
  type TwilioMessage,
  type TwilioMessaging,
} from "@apiforge/connector-twilio";
import { ApiForgeError, type JobDefinition, type Transaction } from "apiforge";

import { formatDollars, mostOf, type PriceList } from "./prices.ts";
import { adoptSid, beginSend, endUnsent, recordSent } from "./sends-table.ts";
import type { settlePriceInput } from "./settle-price.ts";

/** How messages are sent and what they may cost. */
export interface SendSettings {
  readonly twilio: TwilioMessaging;
  /** The sender, in E.164. */
  readonly from: string;
  readonly prices: PriceList;
  /** Most that one tenant's messages of a month (UTC) may cost, in millionths of a dollar. */
  readonly capMicros: number;
  /** URL for the status callbacks; undefined when Twilio cannot reach this server. */
  readonly callbackUrl: () => Promise<string | undefined>;
}

/** One message of a batch. */
export interface MessageToSend {
  readonly key: string;
  readonly tenant: string;
  readonly batchId: string;
  readonly to: string;
  readonly body: string;
  readonly signal: AbortSignal;
  /** A commit of its own. */
  readonly commit: <T>(work: (tx: Transaction) => Promise<T>) => Promise<T>;
}

/** Twilio's clock and ours may differ by this much. */
const clockSkewMs = 60_000;
/** When Twilio cannot call back, its price and end are asked for after this. */
const askDelay = "1m";

const overCap = { type: "payment_error", status: 402, retryable: false } as const;

/**
 * Sends one message and answers its SID. It is written down, with the most that it can cost, before
 * Twilio is called: above the cap nothing is sent, and an attempt whose outcome stayed unknown is
 * looked for before it is repeated. Twilio has no idempotency keys for messages, so one that it
 * takes and lists only later is sent twice.
 *
 * @throws {ApiForgeError} `spend_cap_reached`, `job_not_retriable` for a number without a price,
 * and what `sendMessage` throws.
 */
export async function sendMessage(
  settings: SendSettings,
  settlePrice: JobDefinition<typeof settlePriceInput>,
  message: MessageToSend,
): Promise<{ readonly sid: string }> {
  const { key, tenant, batchId, to, body, commit } = message;
  const { capMicros } = settings;
  const mostMicros = mostOf(settings.prices, to, countSegments(body));
  const start = await commit((tx) =>
    beginSend(tx, { key, tenant, batchId, to, mostMicros, capMicros, nowMs: Date.now() }),
  );
  if (start.kind === "sent") return { sid: start.sid };
  if (start.kind === "over_cap") throw capReached(capMicros);
  const callbackUrl = await settings.callbackUrl();
  const found =
    start.kind === "unconfirmed" ? await findSent(settings, message, start.begunAt) : undefined;
  const sent = found ?? (await send(settings, message, callbackUrl, start.kind === "begun"));
  await commit(async (tx) => {
    await recordSent(tx, key, sent.sid, Date.now());
    const input = { key, sid: sent.sid };
    if (callbackUrl === undefined) await tx.enqueue(settlePrice, input, { delay: askDelay });
  });
  return { sid: sent.sid };
}

async function send(
  { twilio, from }: SendSettings,
  { key, to, body, signal, commit }: MessageToSend,
  callbackUrl: string | undefined,
  isFirst: boolean,
): Promise<TwilioMessage> {
  const callback =
    callbackUrl === undefined ? {} : { statusCallback: callbackFor(callbackUrl, key) };
  try {
    return await twilio.sendMessage({ to, from, body, ...callback }, { signal });
  } catch (error) {
    // What an earlier attempt may have sent stays written down, whatever this one met.
    if (isFirst && !mayHaveBeenSent(error)) await commit((tx) => endUnsent(tx, key));
    throw error;
  }
}

/** The message as Twilio lists it, if an earlier attempt got through. */
async function findSent(
  { twilio, from }: SendSettings,
  { key, to, body, signal, commit }: MessageToSend,
  begunAt: number,
): Promise<TwilioMessage | undefined> {
  const listed = await twilio.findMessages({ to, from }, { signal });
  for (const found of listed) {
    // Trial accounts put a line of Twilio's before the text.
    const isLike = found.createdAt >= begunAt - clockSkewMs && found.body.endsWith(body);
    if (isLike && (await takeAsOwn(commit, key, found.sid))) return found;
  }
  return undefined;
}

/** False when the message is another one's, which may have the same text and number. */
async function takeAsOwn(
  commit: MessageToSend["commit"],
  key: string,
  sid: string,
): Promise<boolean> {
  try {
    return await commit((tx) => adoptSid(tx, key, sid, Date.now()));
  } catch (error) {
    // Another process took it in the same moment: a SID is there once.
    if (ApiForgeError.is(error) && error.code === "unique_violation") return false;
    throw error;
  }
}

/** The URL that Twilio reports a message's changes to; it signs all of it. */
export function callbackFor(callbackUrl: string, key: string): string {
  return `${callbackUrl}?message=${encodeURIComponent(key)}`;
}

function capReached(capMicros: number): ApiForgeError {
  const text = `This month's messages have reached the cap of ${formatDollars(capMicros)}. It begins anew with the next month (UTC); TWILIO_SPENDING_CAP_USD raises it.`;
  return new ApiForgeError("spend_cap_reached", overCap, text);
}
