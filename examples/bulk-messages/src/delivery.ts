import { deliveryError } from "@apiforge/connector-twilio";
import type { Reader, Transaction } from "apiforge";

import { messageUndelivered } from "./events.ts";

/** What Twilio says of one message. */
export interface DeliveryReport {
  /** Of the callback's URL; undefined when Twilio was not given one of ours. */
  readonly key: string | undefined;
  readonly sid: string;
  readonly status: string;
  readonly errorCode: number | undefined;
}

/** A status never gives way to one of the same or a lower rank: callbacks repeat and overtake each other. */
const ranks: ReadonlyMap<string, number> = new Map([
  ["accepted", 1],
  ["scheduled", 1],
  ["queued", 1],
  ["sending", 2],
  ["sent", 3],
  ["delivered", 4],
  ["read", 4],
  ["undelivered", 4],
  ["failed", 4],
  ["canceled", 4],
]);
const lastRank = 4;

/** A message whose end was not known before. */
export interface EndedSend {
  readonly key: string;
}

/** True when nothing follows a status. */
export function isFinalStatus(status: string): boolean {
  return ranks.get(status) === lastRank;
}

interface MovedRow {
  readonly message_key: string;
  readonly tenant: string;
  readonly batch_id: string;
  readonly recipient: string;
}

/**
 * Takes a report in. Answers the message when this is the first word of its end; a repeat, an
 * overtaken status, a status that nobody knows and a message that is not ours change nothing.
 */
export async function takeReport(
  tx: Transaction,
  report: DeliveryReport,
  nowMs: number,
): Promise<EndedSend | undefined> {
  const rank = ranks.get(report.status);
  if (rank === undefined) return undefined;
  const row = await moveOn(tx, report, rank, nowMs);
  if (row === undefined || rank < lastRank) return undefined;
  if (report.status === "undelivered" || report.status === "failed") {
    await countUndelivered(tx, row.batch_id);
    const { code, message } = deliveryError(report.errorCode);
    const { tenant, batch_id: jobId, recipient: to } = row;
    tx.emit(messageUndelivered, { tenant, jobId, to, code, message });
  }
  return { key: row.message_key };
}

async function moveOn(
  tx: Transaction,
  { key, sid, status, errorCode }: DeliveryReport,
  rank: number,
  nowMs: number,
): Promise<MovedRow | undefined> {
  // The callback may be faster than the answer to the request that sent the message.
  const [row] =
    key === undefined
      ? await tx.sql<MovedRow>`
          update message_sends
          set status = ${status}, status_rank = ${rank}, error_code = ${errorCode}, updated_at = ${nowMs}
          where sid = ${sid} and status_rank < ${rank}
          returning message_key, tenant, batch_id, recipient`
      : await tx.sql<MovedRow>`
          update message_sends
          set sid = ${sid}, status = ${status}, status_rank = ${rank}, error_code = ${errorCode}, updated_at = ${nowMs}
          where message_key = ${key} and (sid is null or sid = ${sid}) and status_rank < ${rank}
          returning message_key, tenant, batch_id, recipient`;
  return row;
}

async function countUndelivered(tx: Transaction, batchId: string): Promise<void> {
  await tx.sql`
    insert into message_reports (batch_id, undelivered) values (${batchId}, 1)
    on conflict (batch_id) do update set undelivered = message_reports.undelivered + 1`;
}

/** Messages of a batch that Twilio took and could not deliver, so far. */
export async function undeliveredCount(tx: Reader, batchId: string): Promise<number> {
  const [row] = await tx.sql<{ undelivered: number }>`
    select undelivered from message_reports where batch_id = ${batchId}`;
  return row?.undelivered ?? 0;
}

/** Their numbers, the first `limit` of them. */
export async function undeliveredNumbers(
  tx: Reader,
  batchId: string,
  limit: number,
): Promise<readonly string[]> {
  const rows = await tx.sql<{ recipient: string }>`
    select recipient from message_sends
    where batch_id = ${batchId} and status in ('undelivered', 'failed')
    order by message_key limit ${limit}`;
  return rows.map(({ recipient }) => recipient);
}
