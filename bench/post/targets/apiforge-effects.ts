import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import type { EffectCounts } from "./target.ts";

/*
 * A project counts with its event only when that event names it, so the numbers differ as soon as
 * one is without the other.
 */
const sqliteCounts = `
select (select count(*) from projects) as projects,
       (select count(*) from forge_events where type = 'project.created') as events,
       (select count(*) from forge_jobs where type = 'slack-alert') as jobs,
       (select count(*) from forge_jobs where type = 'slack-alert' and state = 3) as "completedJobs",
       (select count(*) from forge_idempotency where status = 201) as keys`;

const postgresCounts = `
select (select count(*) from projects)::int as projects,
       (select count(*) from forge_events where type = 'project.created')::int as events,
       (select count(*) from forge_jobs where type = 'slack-alert')::int as jobs,
       (select count(*) from forge_jobs where type = 'slack-alert' and state = 3)::int as "completedJobs",
       (select count(*) from forge_idempotency where status = 201)::int as keys`;

/** Counts what the embedded store in `directory` holds; no server may be running on it. */
export function countSqliteEffects(directory: string): EffectCounts {
  const database = new DatabaseSync(sqliteFile(directory), { readOnly: true });
  try {
    const row = database.prepare(sqliteCounts).get();
    return {
      projects: Number(row?.projects),
      events: Number(row?.events),
      jobs: Number(row?.jobs),
      completedJobs: Number(row?.completedJobs),
      keys: Number(row?.keys),
    };
  } finally {
    database.close();
  }
}

/** Counts what the store in the PostgreSQL database `url` holds. */
export async function countPostgresEffects(url: string): Promise<EffectCounts> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<EffectCounts>(postgresCounts);
    if (rows[0] === undefined) throw new Error("The counts returned no row.");
    return rows[0];
  } finally {
    await client.end();
  }
}

/** The database file of the embedded store in `directory`. */
export function sqliteFile(directory: string): string {
  return join(directory, "apiforge.db");
}
