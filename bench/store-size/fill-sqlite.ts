import { DatabaseSync } from "node:sqlite";
import { sqliteFile } from "../post/targets/apiforge-effects.ts";
import { copyStatement, storeCopies, type RowCopies } from "./row-copies.ts";

const copiesPerCommit = 100_000;
const cacheKib = 2_097_152;

/** Copies the store's one request `rows` times. No server may be running on `directory`. */
export function fillSqlite(directory: string, rows: number): void {
  const database = new DatabaseSync(sqliteFile(directory));
  try {
    // The fill is thrown away when it fails, so it need not survive a crash.
    database.exec(`pragma synchronous=off; pragma cache_size=-${cacheKib}`);
    const tables = storeCopies({
      paddedNumber: "printf('%022d', i)",
      randomDigest: "randomblob(16)",
    });
    for (const copies of tables) copyRows(database, copies, rows);
    // Readers of the log have dealt with the copies: the run measures writing, not catching up.
    database.exec("update forge_consumers set cursor = (select max(seq) from forge_events)");
    database.exec("pragma synchronous=full; pragma wal_checkpoint(truncate)");
  } finally {
    database.close();
  }
}

function copyRows(database: DatabaseSync, copies: RowCopies, rows: number): void {
  const columns = database
    .prepare(`select name from pragma_table_info('${copies.table}')`)
    .all()
    .map((row) => String(row.name));
  const insert = database.prepare(
    `with recursive numbers(i) as (select ? union all select i + 1 from numbers where i < ?)
     ${copyStatement(copies, columns, "numbers")}`,
  );
  for (let first = 1; first <= rows; first += copiesPerCommit) {
    insert.run(first, Math.min(rows, first + copiesPerCommit - 1));
  }
}
