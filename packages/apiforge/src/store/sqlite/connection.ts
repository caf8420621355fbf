import { DatabaseSync, type StatementSync } from "node:sqlite";

import type { QueryResult, Row, SqlFragment, SqlValue } from "../contract.ts";
import { storeError } from "../errors.ts";
import { refuseTransactionControl } from "../transaction-control.ts";
import { sqliteFailure } from "./failures.ts";
import { refuseGuardedTable } from "./tenant-guard.ts";

/** The path of a store that lives in memory and ends with the process. */
export const inMemory = ":memory:";

const statementCacheSize = 500;

/** A prepared statement and whether it returns rows. */
interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
  /** True when it may change rows and return them. */
  readonly returning: boolean;
}

/** One SQLite connection with its prepared statements. */
export class SqliteConnection {
  readonly database: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();
  /** The text of each `sql` template, whose texts never change. */
  readonly #templates = new WeakMap<readonly string[], string>();
  readonly #totalChanges: StatementSync;
  #tenant: string | null = null;

  constructor(database: DatabaseSync) {
    this.database = database;
    // What the views of tenant tables compare with; equal throughout a statement.
    database.function("forge_tenant", { deterministic: true }, () => this.#tenant);
    this.#totalChanges = database.prepare("select total_changes() as total");
  }

  /** The statement of `text`, prepared once. For our own SQL, whose number is fixed. */
  prepare(text: string): StatementSync {
    return this.database.prepare(text);
  }

  /**
   * Runs users' SQL through a bounded cache of prepared statements. Of tenant tables it sees the
   * rows of `tenant`; undefined for none.
   */
  query(text: string, values: readonly SqlValue[], tenant: string | undefined): QueryResult {
    const { statement, returnsRows, returning } = this.#cached(text);
    this.#tenant = tenant ?? null;
    const bound = values.map(bindable);
    if (!returnsRows) return { rows: [], changes: Number(statement.run(...bound).changes) };
    const before = returning ? this.#changesSoFar() : 0;
    const rows: readonly Row[] = statement.all(...bound);
    // One row comes back for each that was changed; triggers may have changed more.
    const changed = returning && this.#changesSoFar() !== before;
    return { rows, changes: changed ? rows.length : 0 };
  }

  /** {@link query} for a fragment. */
  queryFragment({ texts, values }: SqlFragment, tenant: string | undefined): QueryResult {
    return this.query(this.#templates.get(texts) ?? this.#join(texts), values, tenant);
  }

  /** {@link query} for statements that may only read, on a connection that may write. */
  queryOnly(text: string, values: readonly SqlValue[], tenant: string | undefined): QueryResult {
    this.database.exec("pragma query_only = 1");
    try {
      return this.query(text, values, tenant);
    } finally {
      this.database.exec("pragma query_only = 0");
    }
  }

  close(): void {
    this.#prepared.clear();
    this.database.close();
  }

  #changesSoFar(): number {
    return Number(this.#totalChanges.get()?.["total"]);
  }

  #join(texts: readonly string[]): string {
    const text = texts.join("?");
    if (Object.isFrozen(texts)) this.#templates.set(texts, text);
    return text;
  }

  #cached(text: string): Prepared {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    refuseTransactionControl(text);
    refuseGuardedTable(text);
    const statement = this.database.prepare(text);
    const returnsRows = statement.columns().length > 0;
    const prepared = {
      statement,
      returnsRows,
      returning: returnsRows && /\breturning\b/i.test(text),
    };
    if (this.#prepared.size >= statementCacheSize) {
      const oldest = this.#prepared.keys().next().value;
      if (oldest !== undefined) this.#prepared.delete(oldest);
    }
    this.#prepared.set(text, prepared);
    return prepared;
  }
}

// SQLite has no boolean; node:sqlite refuses one.
function bindable(value: SqlValue): Exclude<SqlValue, boolean> {
  return typeof value === "boolean" ? Number(value) : value;
}

const commonPragmas = {
  foreign_keys: 1,
  // 2 = memory: the journal of savepoints never touches the disk.
  temp_store: 2,
} as const;

/*
 * synchronous=NORMAL (1) does not mean that answers leave before the disk has them: the writer
 * syncs the WAL itself, once per group and off the main thread, before any answer of the group
 * (docs/adr/0003). FULL would do the same sync inside COMMIT and stall the event loop for it.
 */
const filePragmas = {
  ...commonPragmas,
  journal_mode: "wal",
  synchronous: 1,
  // Checkpoints belong to the checkpointer; the writer never pays for one.
  wal_autocheckpoint: 0,
} as const;

// Half of SQLite's default: a commit logs whole pages, and an idempotency key lands on a random
// one. 2 KiB pages log 5.3 KB a request instead of 8.2 (20 us instead of 23 for its SQL). Takes
// effect when the file is created.
const pageBytes = 2_048;
// A commit whose B-trees split scans the cache's whole hash table (SQLite 3.53, pcache1Truncate): 8 MiB
// cost 2 us a request less than 32 and 10 less than 128, and no more over 5,000,000 rows.
const writerCacheKib = 8_192;

/** Opens the connection that writes. */
export function openWriter(path: string): SqliteConnection {
  const database = open(path, false);
  database.exec(`pragma page_size = ${pageBytes}`);
  applyPragmas(database, path === inMemory ? commonPragmas : filePragmas);
  database.exec(`pragma cache_size = -${writerCacheKib}`);
  return new SqliteConnection(database);
}

/** Opens a connection that only reads committed data. */
export function openReader(path: string): SqliteConnection {
  const database = open(path, true);
  applyPragmas(database, commonPragmas);
  return new SqliteConnection(database);
}

function open(path: string, readOnly: boolean): DatabaseSync {
  try {
    return new DatabaseSync(path, { readOnly, timeout: 0 });
  } catch (error) {
    throw sqliteFailure(error);
  }
}

/** Sets each pragma and reads it back: SQLite ignores what it does not know or cannot do. */
function applyPragmas(
  database: DatabaseSync,
  pragmas: Readonly<Record<string, string | number>>,
): void {
  for (const [name, wanted] of Object.entries(pragmas)) {
    try {
      database.exec(`pragma ${name} = ${wanted}`);
    } catch (error) {
      throw sqliteFailure(error);
    }
    const row = database.prepare(`pragma ${name}`).get();
    const actual = row === undefined ? undefined : Object.values(row)[0];
    if (actual !== wanted) {
      throw storeError(
        "store_misconfigured",
        `SQLite answers ${name}=${String(actual)} where ${name}=${wanted} is needed. Use a local disk: network file systems cannot hold a write-ahead log.`,
      );
    }
  }
}
