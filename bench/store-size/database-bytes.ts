import { statSync } from "node:fs";
import pg from "pg";
import { sqliteFile } from "../post/targets/apiforge-effects.ts";
import type { RawDatabase } from "../post/targets/apiforge.ts";

/** Bytes of the tables and indexes in `database`, while no server runs on it. */
export async function databaseBytes(database: RawDatabase): Promise<number> {
  if (database.dialect === "sqlite") return statSync(sqliteFile(database.directory)).size;
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ bytes: string }>(
      "select pg_database_size(current_database()) as bytes",
    );
    return Number(rows[0]?.bytes);
  } finally {
    await client.end();
  }
}
