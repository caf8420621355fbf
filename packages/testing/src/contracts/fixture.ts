import type { Log } from "apiforge/internal/kernel";
import type { Migration, Row, Store } from "apiforge/internal/store";
import type { ManualClock } from "../manual-clock.ts";

/** What a contract may ask of the store that it is given. */
export interface OpenOptions {
  /** Default: {@link contractTables}. */
  readonly migrations?: readonly Migration[];
  /** Default 5 s, of the store's own time. */
  readonly transactionLimitMs?: number;
  readonly log?: Log;
}

/** One store under test, empty when it is opened. Disposing it closes it and removes its data. */
export interface OpenStore extends AsyncDisposable {
  /** Changes with {@link reopen}. */
  readonly store: Store;
  /** The clock of the store's timers, and of whatever the test puts on top of it. */
  readonly clock: ManualClock;
  /** Moves the time by which the store stamps and compares, together with {@link clock}. */
  advance(ms: number): Promise<void>;
  /** Runs one statement on a connection that is not the store's; undefined where there can be none. */
  readonly raw: ((sql: string) => Promise<readonly Row[]>) | undefined;
  /** Closes the store and opens it on the same data, which a store in memory does not keep. */
  reopen(options?: OpenOptions): Promise<void>;
  /** Opens the same data as a process would after this one was killed: nothing was closed or given back. */
  crash(options?: OpenOptions): Promise<void>;
  /**
   * Closes the store; its data stay until it is disposed.
   * @throws Error when a timer or a connection is left.
   */
  close(): Promise<void>;
}

/** A way to get a {@link Store}. Every contract runs on every fixture. */
export interface StoreFixture {
  readonly name: string;
  /** False for a store whose data end with it: it can be neither opened again nor looked at from outside. */
  readonly persistent: boolean;
  open(options?: OpenOptions): Promise<OpenStore>;
}

/** Tables of an application, for the contracts to write to. */
export const contractTables: Migration = {
  name: "0001-contract",
  sqlite: `
    create table note (id text primary key, body text not null);
    create table sample (
      n integer primary key, words text, whole integer, fraction real, flag integer, bytes blob
    );
  `,
  postgres: `
    create table note (id text primary key, body text not null);
    create table sample (
      n integer primary key, words text, whole bigint, fraction double precision, flag boolean,
      bytes bytea
    );
  `,
};
