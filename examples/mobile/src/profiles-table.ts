import type { Reader, Transaction } from "apiforge";

import type { Profile } from "./schema.ts";

/** The user's profile; an empty one for who has said nothing. */
export async function findProfile(reader: Reader): Promise<Profile> {
  const [row] = await reader.sql<Profile>`select name from mobile_profiles`;
  return row ?? { name: "" };
}

export async function saveProfile(tx: Transaction, user: string, { name }: Profile): Promise<void> {
  // A tenant table is a view on SQLite, which takes no `on conflict`.
  const updated = await tx.sql`update mobile_profiles set name = ${name} returning name`;
  if (updated.length > 0) return;
  await tx.sql`insert into mobile_profiles (tenant, name) values (${user}, ${name})`;
}
