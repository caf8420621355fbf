import { createHash, randomBytes } from "node:crypto";
import { newId, type Transaction } from "apiforge";

const validForMs = 24 * 3_600_000;
const mailsPerHour = 3;
const hourMs = 3_600_000;
const codeBytes = 24;

/**
 * Keeps that somebody wants a key for `email`; answers the epoch milliseconds from when on another
 * mail may go there where it had three within the hour.
 */
export async function insertRegistration(
  tx: Transaction,
  email: string,
  nowMs: number,
): Promise<{ readonly id: string } | { readonly notBeforeMs: number }> {
  // Holds the address until the commit: of many requests at once three find room.
  await tx.sql`
    insert into registration_addresses (email) values (${email})
    on conflict (email) do update set email = excluded.email`;
  const recent = await tx.sql<{ created_at: number }>`
    select created_at from registrations where email = ${email} and created_at > ${nowMs - hourMs}
    order by created_at desc limit ${mailsPerHour}`;
  const oldest = recent.at(-1);
  if (recent.length === mailsPerHour && oldest !== undefined) {
    return { notBeforeMs: oldest.created_at + hourMs };
  }
  const id = newId("reg");
  await tx.sql`
    insert into registrations (id, email, created_at, expires_at)
    values (${id}, ${email}, ${nowMs}, ${nowMs + validForMs})`;
  return { id };
}

/**
 * Makes a code for a registration and keeps its digest: 192 random bits need no slow hash. Earlier
 * ones stay good, since the mail with them may have arrived although nobody said so.
 */
export async function insertCode(
  tx: Transaction,
  registrationId: string,
): Promise<{ readonly code: string; readonly email: string } | undefined> {
  const [registration] = await tx.sql<{ email: string }>`
    select email from registrations where id = ${registrationId} and used_at is null`;
  if (registration === undefined) return undefined;
  const code = randomBytes(codeBytes).toString("base64url");
  await tx.sql`
    insert into registration_codes (digest, registration_id)
    values (${digestOf(code)}, ${registrationId})`;
  return { code, email: registration.email };
}

/** Uses up the registration of a code and answers its address; undefined when the code is not good. */
export async function useCode(
  tx: Transaction,
  code: string,
  nowMs: number,
): Promise<string | undefined> {
  // One statement: of two requests with one code the second finds it used.
  const [used] = await tx.sql<{ email: string }>`
    update registrations set used_at = ${nowMs}
    where used_at is null and expires_at > ${nowMs} and id = (
      select registration_id from registration_codes where digest = ${digestOf(code)})
    returning email`;
  return used?.email;
}

/** The developer of an address, made when there was none. */
export async function developerOf(
  tx: Transaction,
  email: string,
  plan: string,
  nowMs: number,
): Promise<{ readonly id: string; readonly plan: string }> {
  await tx.sql`
    insert into developers (id, email, plan, registered_at)
    values (${newId("dev")}, ${email}, ${plan}, ${nowMs}) on conflict (email) do nothing`;
  const [developer] = await tx.sql<{ id: string; plan: string }>`
    select id, plan from developers where email = ${email}`;
  if (developer === undefined) throw new Error("A developer was inserted and is not there");
  return developer;
}

function digestOf(code: string): string {
  return createHash("sha256").update(code).digest("hex");
}
