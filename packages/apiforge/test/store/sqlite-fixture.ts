import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ManualClock } from "@apiforge/testing";
import {
  contractTables,
  type OpenOptions,
  type OpenStore,
  type StoreFixture,
} from "@apiforge/testing/contracts";
import { silentLog } from "../../src/kernel/index.ts";
import type { Row, Store } from "../../src/store/index.ts";
import { openSqliteStore } from "../../src/store/sqlite/store.ts";

/** A store that ends with the process. */
export const sqliteMemory: StoreFixture = {
  name: "sqlite-memory",
  persistent: false,
  async open(options) {
    const clock = new ManualClock();
    return new OpenSqlite(clock, ":memory:", await openAt(":memory:", clock, options));
  },
};

/** A store in a file of its own, removed with it. */
export const sqliteFile: StoreFixture = {
  name: "sqlite-file",
  persistent: true,
  open: openSqliteFile,
};

/** {@link sqliteFile}, with the path of its file. */
export async function openSqliteFile(options?: OpenOptions): Promise<OpenSqlite> {
  const clock = new ManualClock();
  const path = newPath();
  try {
    return new OpenSqlite(clock, path, await openAt(path, clock, options));
  } catch (error) {
    removeFiles(path);
    throw error;
  }
}

const fileName = "apiforge.db";

function newPath(): string {
  return join(mkdtempSync(join(tmpdir(), "apiforge-store-")), fileName);
}

function removeFiles(path: string): void {
  rmSync(join(path, ".."), { recursive: true, force: true });
}

function openAt(path: string, clock: ManualClock, options: OpenOptions = {}): Promise<Store> {
  const { migrations = [contractTables], transactionLimitMs = 5_000, log = silentLog } = options;
  return openSqliteStore({ path, migrations, transactionLimitMs, log, clock });
}

/** Copies what a killed process would leave: the database and its log as they are at this moment. */
export function copyDatabase(path: string): string {
  const copy = newPath();
  for (const suffix of ["", "-wal"]) {
    if (existsSync(`${path}${suffix}`)) cpSync(`${path}${suffix}`, `${copy}${suffix}`);
  }
  return copy;
}

class OpenSqlite implements OpenStore {
  readonly clock: ManualClock;
  path: string;
  store: Store;
  readonly raw: OpenStore["raw"];

  constructor(clock: ManualClock, path: string, store: Store) {
    this.clock = clock;
    this.path = path;
    this.store = store;
    if (this.#persistent) this.raw = async (sql) => this.#query(sql);
  }

  get #persistent(): boolean {
    return this.path !== ":memory:";
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
  }

  async reopen(options?: OpenOptions): Promise<void> {
    if (!this.#persistent) throw new Error("A store in memory cannot be opened again");
    await this.close();
    this.store = await openAt(this.path, this.clock, options);
  }

  async crash(options?: OpenOptions): Promise<void> {
    if (!this.#persistent) throw new Error("A store in memory cannot be opened again");
    const copy = copyDatabase(this.path);
    await this.store.close();
    removeFiles(this.path);
    this.path = copy;
    this.store = await openAt(copy, this.clock, options);
  }

  async close(): Promise<void> {
    await this.store.close();
    if (this.clock.pending > 0) throw new Error(`${this.clock.pending} timers are left`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.close();
    } finally {
      if (this.#persistent) removeFiles(this.path);
    }
  }

  #query(sql: string): readonly Row[] {
    const database = new DatabaseSync(this.path);
    try {
      return database.prepare(sql).all();
    } finally {
      database.close();
    }
  }
}
