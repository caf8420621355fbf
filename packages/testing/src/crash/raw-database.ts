import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Client, TypeOverrides, types } from "pg";

/** One row, by column name. 64-bit integers are numbers on both databases. */
export type RawRow = Record<string, unknown>;

/**
 * A connection that looks at a database without any code of the library under test. SQL has `$1`,
 * `$2`, … for `params` on both databases.
 */
export interface RawDatabase extends AsyncDisposable {
  all(sql: string, params?: readonly RawParam[]): Promise<RawRow[]>;
  /**
   * What is broken, empty when nothing is. SQLite: `integrity_check` and `foreign_key_check`.
   * PostgreSQL: indexes and constraints that were left invalid.
   */
  integrityCheck(): Promise<string[]>;
  /** Lets `look` see the database as it is at one instant, whatever is committed meanwhile. */
  snapshot<T>(look: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** A value for a placeholder: what both databases take without a conversion. */
export type RawParam = string | number | null;

const busyTimeoutMs = 5_000;

/** The parsers of pg, except that int8 (counts, epoch milliseconds) is a number, as on SQLite. */
const rawTypes = new TypeOverrides();
rawTypes.setTypeParser(types.builtins.INT8, Number);

/**
 * Opens a PostgreSQL database (URL) or an SQLite file (path, read-only).
 *
 * An SQLite file may be opened beside a server process, but never while a server runs on it in this
 * process: POSIX drops every lock that a process holds on a file as soon as it closes any descriptor
 * of that file, so this connection's `close` would take the server's locks away
 * (https://sqlite.org/howtocorrupt.html section 2.2).
 * @throws Error when the database cannot be opened; a missing file is not created.
 */
export async function openRaw(target: string): Promise<RawDatabase> {
  return /^postgres(ql)?:/.test(target) ? openPostgres(target) : openSqlite(target);
}

function openSqlite(path: string): RawDatabase {
  // The first connection after a kill recovers the log, and whoever comes second waits for it.
  const database = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
  function select(sql: string, params: readonly RawParam[] = []): RawRow[] {
    const named: Record<string, SQLInputValue> = {};
    for (const [index, value] of params.entries()) named[`$${index + 1}`] = value;
    return database.prepare(sql).all(named);
  }
  async function close(): Promise<void> {
    database.close();
  }
  return {
    all: async (sql, params) => select(sql, params),
    async integrityCheck() {
      const problems = select("pragma integrity_check").map((row) =>
        String(row["integrity_check"]),
      );
      const orphans = select("pragma foreign_key_check").map((row) => {
        return `row ${String(row["rowid"])} of ${String(row["table"])} refers to nothing`;
      });
      return [...problems.filter((problem) => problem !== "ok"), ...orphans];
    },
    async snapshot(look) {
      database.exec("begin");
      try {
        return await look();
      } finally {
        database.exec("rollback");
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openPostgres(url: string): Promise<RawDatabase> {
  const client = new Client({
    connectionString: url,
    application_name: "apiforge-testing-raw",
    types: rawTypes,
  });
  await client.connect();
  async function all(sql: string, params: readonly RawParam[] = []): Promise<RawRow[]> {
    const { rows } = await client.query<RawRow>(sql, [...params]);
    return rows;
  }
  const close = (): Promise<void> => client.end();
  return {
    all,
    async integrityCheck() {
      const invalid = await all(
        `select 'index ' || indexrelid::regclass || ' is invalid' as problem
           from pg_index where not indisvalid
         union all
         select 'constraint ' || conname || ' of ' || conrelid::regclass || ' is not validated'
           from pg_constraint where not convalidated`,
      );
      return invalid.map((row) => String(row["problem"]));
    },
    async snapshot(look) {
      await all("begin isolation level repeatable read read only");
      try {
        return await look();
      } finally {
        await all("rollback");
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
