import { closeSync, fdatasync, openSync } from "node:fs";
import { promisify } from "node:util";

import type { ApiForgeError } from "../../kernel/index.ts";
import { storeError } from "../errors.ts";
import { inMemory } from "./connection.ts";

interface Waiter {
  resolve(): void;
  reject(error: unknown): void;
}

// The callback form: a FileHandle allocates the fields of a stat result for every call.
const sync = promisify(fdatasync);

/**
 * Puts commits on disk: one `fdatasync` of the write-ahead log at a time, in libuv's thread pool,
 * and everything committed before it starts is durable when it ends.
 *
 * The log is opened by a second descriptor. That is safe: SQLite keeps its POSIX locks on the
 * database and `-shm` files, which nothing but SQLite ever opens here; the log's inode stays the
 * same while a connection is open.
 */
export class WalSync {
  readonly #path: string;
  #file: number | undefined;
  #waiting: Waiter[] = [];
  #newest: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #failure: unknown;
  #syncs = 0;
  #syncMs = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Resolves when everything committed so far is on disk. */
  wait(): Promise<void> {
    if (this.#path === inMemory) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.refusal());
    this.#newest = new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#running ??= this.#run();
    });
    return this.#newest;
  }

  /** Resolves when the commits that still wait for the disk are there; at once when none does. */
  async settled(): Promise<void> {
    await this.#newest;
    if (this.#failure !== undefined) throw this.refusal();
  }

  /** The error that made the log's state unknown; undefined while all is well. */
  get failure(): unknown {
    return this.#failure;
  }

  /** What the disk was asked for, and how long it took. */
  get work(): { readonly syncs: number; readonly syncMs: number } {
    return { syncs: this.#syncs, syncMs: this.#syncMs };
  }

  async close(): Promise<void> {
    await this.#running;
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        this.#file ??= openSync(`${this.#path}-wal`, "r+");
        const startedAt = performance.now();
        await sync(this.#file);
        this.#syncs += 1;
        this.#syncMs += performance.now() - startedAt;
        for (const waiter of group) waiter.resolve();
      } catch (error) {
        this.#failure = error;
        for (const waiter of [...group, ...this.#waiting.splice(0)]) waiter.reject(this.refusal());
      }
    }
    this.#running = undefined;
    this.#newest = undefined;
  }

  /**
   * What everybody is told after {@link failure}. After a failed fsync the kernel may have dropped
   * the dirty pages and calls the next one clean (PostgreSQL's "fsyncgate"): nothing later may be
   * believed, so the store stays down.
   */
  refusal(): ApiForgeError {
    return storeError(
      "commit_outcome_unknown",
      "The disk failed to confirm a write. Repeat the request with the same idempotency key.",
      { cause: this.#failure, retryAfterSeconds: 5 },
    );
  }
}
