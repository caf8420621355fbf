import type { StatementSync } from "node:sqlite";

import type { QueryResult, Row, SqlFragment, SqlRunner, SqlValue } from "../contract.ts";
import { storeError } from "../errors.ts";
import { openReader, type SqliteConnection } from "./connection.ts";
import { readEnded, readFailure, sqliteFailure } from "./failures.ts";
import { ReadThreads } from "./read-threads.ts";
import { SlowReads } from "./slow-reads.ts";
import { withinLimit, type TimeLimit } from "./time-limit.ts";

/** A snapshot on a connection of its own. */
interface Snapshot {
  readonly runner: SqlRunner;
  /** Gives the connection back; `cutOff` when a statement may still be running on it. */
  end(cutOff: boolean): void;
}

/** A reading connection of the main thread. */
interface Reader {
  readonly connection: SqliteConnection;
  readonly begin: StatementSync;
  readonly end: StatementSync;
}

/**
 * Connections that see committed data only, each in use by one read at a time. A read is a few
 * microseconds of work for which a thread would cost more than it saves, so reads run on the main
 * thread until one of their statements proves slow: from then on reads of that label run in
 * threads, and the event loop has stalled for it once. They come back when they prove quick.
 */
export class ReaderPool {
  readonly #path: string;
  readonly #limit: TimeLimit;
  readonly #idle: Reader[] = [];
  readonly #threads: ReadThreads;
  readonly #slow = new SlowReads();
  readonly #reads = new Set<Promise<unknown>>();
  #closed = false;

  constructor(path: string, limit: TimeLimit) {
    this.#path = path;
    this.#limit = limit;
    this.#threads = new ReadThreads(path, limit);
  }

  /** Runs `work` on one snapshot. One that is kept for too long lets the log grow without end, so it is cut off. */
  async read<T>(
    label: string,
    work: (runner: SqlRunner) => Promise<T>,
    tenant: string | undefined,
  ): Promise<T> {
    if (this.#closed) throw storeError("store_unavailable", "The server is shutting down.");
    const reading = this.#read(label, work, tenant);
    this.#reads.add(reading);
    try {
      return await reading;
    } finally {
      this.#reads.delete(reading);
    }
  }

  /** Finishes the reads that have begun and refuses the rest. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#reads);
    for (const reader of this.#idle.splice(0)) reader.connection.close();
    await this.#threads.close();
  }

  async #read<T>(
    label: string,
    work: (runner: SqlRunner) => Promise<T>,
    tenant: string | undefined,
  ): Promise<T> {
    const snapshot =
      this.#slow.has(label) && this.#threads.isOpen
        ? await this.#threadSnapshot(label, tenant)
        : this.#mainSnapshot(label, tenant);
    let isCutOff = false;
    const cutOff = (): void => {
      isCutOff = true;
    };
    try {
      return await withinLimit(this.#limit, label, () => work(snapshot.runner), cutOff);
    } catch (error) {
      throw sqliteFailure(error);
    } finally {
      snapshot.end(isCutOff);
    }
  }

  #mainSnapshot(label: string, tenant: string | undefined): Snapshot {
    const reader = this.#idle.pop() ?? this.#openReader();
    reader.begin.run();
    const runner = new MainRunner(reader.connection, tenant, (elapsedMs) =>
      this.#moveToThreads(label, elapsedMs),
    );
    return {
      runner,
      end: () => {
        runner.end();
        reader.end.run();
        this.#idle.push(reader);
      },
    };
  }

  async #threadSnapshot(label: string, tenant: string | undefined): Promise<Snapshot> {
    const thread = await this.#threads.take();
    thread.begin(tenant);
    return {
      runner: thread,
      end: (cutOff) => {
        this.#slow.finished(label, cutOff ? Infinity : thread.slowestMs);
        if (cutOff) return this.#threads.discard(thread);
        thread.end();
        this.#threads.giveBack(thread);
      },
    };
  }

  #moveToThreads(label: string, elapsedMs: number): void {
    if (!this.#slow.ran(label, elapsedMs)) return;
    this.#threads.open();
    const fields = { label, elapsedMs: Math.round(elapsedMs) };
    this.#limit.log.warn(
      fields,
      "slow read stalled the event loop; from now on it runs in a thread",
    );
  }

  #openReader(): Reader {
    const connection = openReader(this.#path);
    return { connection, begin: connection.prepare("begin"), end: connection.prepare("rollback") };
  }
}

class MainRunner implements SqlRunner {
  readonly dialect = "sqlite";
  readonly #connection: SqliteConnection;
  readonly #tenant: string | undefined;
  readonly #onStatement: (elapsedMs: number) => void;
  #open = true;

  constructor(
    connection: SqliteConnection,
    tenant: string | undefined,
    onStatement: (elapsedMs: number) => void,
  ) {
    this.#connection = connection;
    this.#tenant = tenant;
    this.#onStatement = onStatement;
  }

  async query(fragment: SqlFragment): Promise<readonly Row[]> {
    return this.#run(fragment.texts.join("?"), fragment.values).rows;
  }

  async queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return this.#run(text, values);
  }

  end(): void {
    this.#open = false;
  }

  #run(text: string, values: readonly SqlValue[]): QueryResult {
    if (!this.#open) throw readEnded();
    const startedAt = performance.now();
    try {
      return this.#connection.query(text, values, this.#tenant);
    } catch (error) {
      throw readFailure(error);
    } finally {
      this.#onStatement(performance.now() - startedAt);
    }
  }
}
