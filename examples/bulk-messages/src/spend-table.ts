import type { Transaction } from "apiforge";

import { spendAlert } from "./events.ts";

/** Whose money of which month is spent. */
export interface SpendAccount {
  readonly tenant: string;
  /** UTC, such as `2026-11`. */
  readonly month: string;
}

/** The month of an instant in UTC. */
export function monthOf(nowMs: number): string {
  return new Date(nowMs).toISOString().slice(0, 7);
}

const alertPercents = [100, 80, 50] as const;

/**
 * Promises `micros` to one message; false, and nothing changed, when the cap does not leave that
 * much. The row's own counters decide in one statement, so no number of chunks or nodes at once
 * gets past the cap. Reaching 50, 80 and 100 % emits {@link spendAlert}; a refusal counts as 100.
 */
export async function reserveSpend(
  tx: Transaction,
  account: SpendAccount,
  micros: number,
  capMicros: number,
): Promise<boolean> {
  let state = await addReserved(tx, account, micros, capMicros);
  if (state === undefined) {
    await openAccount(tx, account);
    state = await addReserved(tx, account, micros, capMicros);
  }
  const reached = state === undefined ? 100 : (state.committed / Math.max(1, capMicros)) * 100;
  await alertAt(tx, account, reached, state?.alerted ?? 0, capMicros);
  return state !== undefined;
}

interface SpendState {
  /** What is promised and spent. */
  readonly committed: number;
  /** The last percentage that was told. */
  readonly alerted: number;
}

/** The account after the addition; undefined when there was no row or no room. */
async function addReserved(
  tx: Transaction,
  { tenant, month }: SpendAccount,
  micros: number,
  capMicros: number,
): Promise<SpendState | undefined> {
  const [row] = await tx.sql<SpendState>`
    update message_spend set reserved_micros = reserved_micros + ${micros}
    where tenant = ${tenant} and month = ${month}
      and reserved_micros + spent_micros + ${micros} <= ${capMicros}
    returning reserved_micros + spent_micros as committed, alerted_percent as alerted`;
  return row;
}

async function openAccount(tx: Transaction, { tenant, month }: SpendAccount): Promise<void> {
  await tx.sql`
    insert into message_spend (tenant, month) values (${tenant}, ${month})
    on conflict (tenant, month) do nothing`;
}

async function alertAt(
  tx: Transaction,
  { tenant, month }: SpendAccount,
  reached: number,
  alerted: number,
  capMicros: number,
): Promise<void> {
  const percent = alertPercents.find((level) => reached >= level);
  if (percent === undefined || alerted >= percent) return;
  const [row] = await tx.sql<{ committed: number }>`
    update message_spend set alerted_percent = ${percent}
    where tenant = ${tenant} and month = ${month} and alerted_percent < ${percent}
    returning reserved_micros + spent_micros as committed`;
  if (row === undefined) return;
  tx.emit(spendAlert, { tenant, month, percent, committedMicros: row.committed, capMicros });
}

/** Replaces a message's promise by what it really cost, which may be nothing. */
export async function settleSpend(
  tx: Transaction,
  { tenant, month }: SpendAccount,
  reservedMicros: number,
  actualMicros: number,
): Promise<void> {
  await tx.sql`
    update message_spend
    set reserved_micros = reserved_micros - ${reservedMicros},
      spent_micros = spent_micros + ${actualMicros}
    where tenant = ${tenant} and month = ${month}`;
}
