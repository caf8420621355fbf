import { closeSync, fsyncSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { sqliteFile } from "../post/targets/apiforge-effects.ts";
import { copyStatement, keepOriginal, storeCopies, type RowCopies } from "./row-copies.ts";

const copiesPerCommit = 1_000_000;
const cacheKib = 2_097_152;

/** Copies the store's one request `rows` times. No server may be running on `directory`. */
export function fillSqlite(directory: string, rows: number): void {
  const file = sqliteFile(directory);
  const database = new DatabaseSync(file);
  try {
    // The fill is thrown away when it fails: no sync, and no log to write every page to first.
    database.exec(
      `pragma journal_mode=delete; pragma journal_mode=off; pragma synchronous=off;
       pragma locking_mode=exclusive; pragma cache_size=-${cacheKib}`,
    );
    const tables = storeCopies({
      paddedNumber: "printf('%022d', i)",
      randomDigest: "randomblob(16)",
    });
    for (const copies of tables) copyRows(database, copies, rows);
    // Readers of the log have dealt with the copies: the run measures writing, not catching up.
    database.exec("update forge_consumers set cursor = (select max(seq) from forge_events)");
    database.exec("pragma locking_mode=normal; pragma journal_mode=wal");
  } finally {
    database.close();
  }
  flush(file);
}

/** Brings the filled file to the disk, so that no measurement pays for it. */
function flush(file: string): void {
  const descriptor = openSync(file, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function copyRows(database: DatabaseSync, copies: RowCopies, rows: number): void {
  const columns = database
    .prepare(`select name from pragma_table_info('${copies.table}')`)
    .all()
    .map((row) => String(row.name));
  database.exec(keepOriginal(copies));
  const insert = database.prepare(
    `with recursive numbers(i) as (select ? union all select i + 1 from numbers where i < ?)
     ${copyStatement(copies, columns, "numbers")}`,
  );
  for (let first = 1; first <= rows; first += copiesPerCommit) {
    insert.run(first, Math.min(rows, first + copiesPerCommit - 1));
  }
}
