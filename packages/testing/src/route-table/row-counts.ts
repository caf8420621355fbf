import type { RawDatabase } from "../crash/index.ts";

const tables = {
  sqlite: "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'",
  postgres: `select table_name as name from information_schema.tables
    where table_schema = current_schema() and table_type = 'BASE TABLE'`,
} as const;

// What a server writes about itself, some of it after it is ready, and what limits counted, which
// those by address do of every request.
const ofServer = new Set([
  ...["forge_audit_seals", "forge_audit_unsealed"],
  ...["forge_consumers", "forge_schedules", "forge_workers"],
  ...["forge_quotas", "forge_limit_log", "forge_limit_mark"],
]);

/** Rows by table: every table that the database has, but for those about the servers themselves. */
export async function countRows(
  raw: RawDatabase,
  store: keyof typeof tables,
): Promise<Readonly<Record<string, number>>> {
  const all = (await raw.all(tables[store])).map((row) => String(row["name"]));
  const names = all.filter((name) => !ofServer.has(name));
  const counts = names.map((name) => `select '${name}' as name, count(*) as rows from "${name}"`);
  const rows = await raw.all(counts.join(" union all "));
  return Object.fromEntries(rows.map((row) => [String(row["name"]), Number(row["rows"])]));
}
