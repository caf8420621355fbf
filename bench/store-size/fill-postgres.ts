import pg from "pg";
import { copyStatement, keepOriginal, storeCopies, type RowCopies } from "./row-copies.ts";

const copiesPerCommit = 1_000_000;

/** Copies the store's one request `rows` times. No server may be running on the database. */
export async function fillPostgres(url: string, rows: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set synchronous_commit = off");
    const tables = storeCopies({
      paddedNumber: "lpad(i::text, 22, '0')",
      randomDigest: "decode(md5(i::text || random()::text), 'hex')",
    });
    for (const copies of tables) await copyRows(client, numberedEvents(copies), rows);
    await client.query("select setval('forge_event_seq', (select max(seq) from forge_events))");
    await client.query("update forge_consumers set cursor = (select max(seq) from forge_events)");
    await client.query("vacuum analyze");
    await client.query("checkpoint");
  } finally {
    await client.end();
  }
}

/** PostgreSQL's events take their number from a sequence that the writer reads itself. */
function numberedEvents(copies: RowCopies): RowCopies {
  if (copies.table !== "forge_events") return copies;
  return { ...copies, numbered: [], changed: { ...copies.changed, seq: "seq + i" } };
}

async function copyRows(client: pg.Client, copies: RowCopies, rows: number): Promise<void> {
  const { rows: columns } = await client.query<{ name: string }>(
    `select column_name as name from information_schema.columns
     where table_schema = current_schema() and table_name = $1 order by ordinal_position`,
    [copies.table],
  );
  await client.query(keepOriginal(copies));
  const statement = copyStatement(
    copies,
    columns.map(({ name }) => name),
    "generate_series($1::bigint, $2::bigint) as i",
  );
  for (let first = 1; first <= rows; first += copiesPerCommit) {
    await client.query(statement, [first, Math.min(rows, first + copiesPerCommit - 1)]);
  }
}
