import type { Transaction } from "apiforge";

import { monthOf, reserveSpend, settleSpend } from "./spend-table.ts";

/** A message that is about to be sent. */
export interface SendInsert {
  /** `<batchId>:<index>`, equal on every attempt. */
  readonly key: string;
  readonly tenant: string;
  readonly batchId: string;
  readonly to: string;
  /** The most that it can cost. */
  readonly mostMicros: number;
  readonly capMicros: number;
  readonly nowMs: number;
}

/** What a message is when an attempt begins. */
export type SendStart =
  | { readonly kind: "begun" }
  | { readonly kind: "sent"; readonly sid: string }
  /** An earlier attempt, or a process that died, may have sent it. */
  | { readonly kind: "unconfirmed"; readonly begunAt: number }
  | { readonly kind: "over_cap" };

/** Writes a message down before it is sent, with its money reserved in the same commit. */
export async function beginSend(tx: Transaction, send: SendInsert): Promise<SendStart> {
  const month = monthOf(send.nowMs);
  const [inserted] = await tx.sql<{ message_key: string }>`
    insert into message_sends (message_key, tenant, batch_id, recipient, status, status_rank,
      month, reserved_micros, begun_at, updated_at)
    values (${send.key}, ${send.tenant}, ${send.batchId}, ${send.to}, 'unconfirmed', 0,
      ${month}, ${send.mostMicros}, ${send.nowMs}, ${send.nowMs})
    on conflict (message_key) do nothing
    returning message_key`;
  if (inserted === undefined) return earlierSend(tx, send.key);
  const account = { tenant: send.tenant, month };
  if (await reserveSpend(tx, account, send.mostMicros, send.capMicros)) return { kind: "begun" };
  await tx.sql`delete from message_sends where message_key = ${send.key}`;
  return { kind: "over_cap" };
}

async function earlierSend(tx: Transaction, key: string): Promise<SendStart> {
  const [row] = await tx.sql<{ sid: string | null; begun_at: number }>`
    select sid, begun_at from message_sends where message_key = ${key}`;
  if (row === undefined) return { kind: "unconfirmed", begunAt: 0 };
  return row.sid === null
    ? { kind: "unconfirmed", begunAt: row.begun_at }
    : { kind: "sent", sid: row.sid };
}

/** Twilio has taken the message. A callback may have said so before: then nothing changes. */
export async function recordSent(
  tx: Transaction,
  key: string,
  sid: string,
  nowMs: number,
): Promise<void> {
  await tx.sql`
    update message_sends set sid = ${sid}, status = 'queued', status_rank = 1, updated_at = ${nowMs}
    where message_key = ${key} and sid is null`;
}

/** Forgets a message that was certainly not sent, and gives its money back. */
export async function endUnsent(tx: Transaction, key: string): Promise<void> {
  const [row] = await tx.sql<{ tenant: string; month: string; reserved_micros: number }>`
    delete from message_sends where message_key = ${key} and sid is null
    returning tenant, month, reserved_micros`;
  if (row !== undefined) await settleSpend(tx, row, row.reserved_micros, 0);
}

/** Takes a message that Twilio has as this one; false when it is known as another one's. */
export async function adoptSid(
  tx: Transaction,
  key: string,
  sid: string,
  nowMs: number,
): Promise<boolean> {
  const rows = await tx.sql`
    update message_sends set sid = ${sid}, status = 'queued', status_rank = 1, updated_at = ${nowMs}
    where message_key = ${key} and sid is null
      and not exists (select 1 from message_sends other where other.sid = ${sid})
    returning message_key`;
  return rows.length > 0;
}

/** What a message really cost takes the place of what was reserved; once. */
export async function settleSend(
  tx: Transaction,
  key: string,
  priceMicros: number | undefined,
): Promise<void> {
  const [row] = await tx.sql<{
    tenant: string;
    month: string;
    reserved_micros: number;
    price_micros: number;
  }>`
    update message_sends set price_micros = coalesce(${priceMicros}, reserved_micros)
    where message_key = ${key} and price_micros is null
    returning tenant, month, reserved_micros, price_micros`;
  if (row !== undefined) await settleSpend(tx, row, row.reserved_micros, row.price_micros);
}
