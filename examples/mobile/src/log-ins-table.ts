import { createHash, randomInt } from "node:crypto";
import { newId, type Transaction } from "apiforge";

const hourMs = 3_600_000;
const messagesPerHour = 3;
const validForMs = 600_000;
// A guess of six digits in five tries, three times an hour: one in 66,666 in each hour.
const mostTries = 5;
const codes = 1_000_000;
const codeDigits = 6;

/** A log-in that waits for its code. */
export interface LogIn {
  readonly id: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/**
 * Begins a log-in; answers the epoch milliseconds from when on another message may go to `phone`
 * where it had three within the hour.
 */
export async function insertLogIn(
  tx: Transaction,
  phone: string,
  nowMs: number,
): Promise<LogIn | { readonly notBeforeMs: number }> {
  // Holds the phone until the commit: of many requests at once three find room.
  await tx.sql`
    insert into mobile_phones (phone) values (${phone})
    on conflict (phone) do update set phone = excluded.phone`;
  const recent = await tx.sql<{ created_at: number }>`
    select created_at from mobile_log_ins where phone = ${phone} and created_at > ${nowMs - hourMs}
    order by created_at desc limit ${messagesPerHour}`;
  const oldest = recent.at(-1);
  if (recent.length === messagesPerHour && oldest !== undefined) {
    return { notBeforeMs: oldest.created_at + hourMs };
  }
  const logIn = { id: newId("login"), expiresAt: nowMs + validForMs };
  await tx.sql`
    insert into mobile_log_ins (id, phone, tries, created_at, expires_at)
    values (${logIn.id}, ${phone}, 0, ${nowMs}, ${logIn.expiresAt})`;
  return logIn;
}

/**
 * Makes a code for a log-in and keeps its digest. Earlier ones stay good: a message with them may
 * have arrived although nobody said so.
 */
export async function insertCode(
  tx: Transaction,
  logInId: string,
): Promise<{ readonly code: string; readonly phone: string } | undefined> {
  const [logIn] = await tx.sql<{ phone: string }>`
    select phone from mobile_log_ins where id = ${logInId} and used_at is null`;
  if (logIn === undefined) return undefined;
  const code = String(randomInt(codes)).padStart(codeDigits, "0");
  await tx.sql`
    insert into mobile_log_in_codes (log_in_id, digest) values (${logInId}, ${digestOf(logInId, code)})
    on conflict (log_in_id, digest) do nothing`;
  return { code, phone: logIn.phone };
}

/**
 * Tries a code, and uses the log-in up when it is right: its phone is proven. Undefined when it is
 * not; the try is counted, so the transaction must commit.
 */
export async function tryCode(
  tx: Transaction,
  logInId: string,
  code: string,
  nowMs: number,
): Promise<string | undefined> {
  // The row is locked from here on: of two requests with one code the second finds it used.
  const [tried] = await tx.sql<{ phone: string }>`
    update mobile_log_ins set tries = tries + 1
    where id = ${logInId} and used_at is null and tries < ${mostTries} and expires_at > ${nowMs}
    returning phone`;
  if (tried === undefined) return undefined;
  const [right] = await tx.sql`
    select 1 as found from mobile_log_in_codes
    where log_in_id = ${logInId} and digest = ${digestOf(logInId, code)}`;
  if (right === undefined) return undefined;
  await tx.sql`update mobile_log_ins set used_at = ${nowMs} where id = ${logInId}`;
  return tried.phone;
}

/** Id of the user with this phone, made when there was none. */
export async function userOf(tx: Transaction, phone: string): Promise<string> {
  await tx.sql`
    insert into mobile_users (id, phone) values (${newId("usr")}, ${phone})
    on conflict (phone) do nothing`;
  const [user] = await tx.sql<{ id: string }>`select id from mobile_users where phone = ${phone}`;
  if (user === undefined) throw new Error("A user was inserted and is not there");
  return user.id;
}

// Six digits are found from any digest in a moment; it keeps them out of backups that outlive them.
function digestOf(logInId: string, code: string): string {
  return createHash("sha256").update(`${logInId} ${code}`).digest("hex");
}
