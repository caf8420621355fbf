import { Worker } from "node:worker_threads";

import type { QueryResult, Row, SqlFragment, SqlRunner, SqlValue } from "../contract.ts";
import { readEnded, readFailure } from "./failures.ts";
import type { ReadRequest, ReadResponse } from "./read-worker.ts";

/** Who is told of a thread, once each. */
export interface ThreadOwner {
  /** It can be used. */
  ready(): void;
  /** It is of no use any more. */
  failed(): void;
}

interface Pending {
  resolve(result: QueryResult): void;
  reject(error: unknown): void;
}

/** A reading connection in a thread of its own; one snapshot at a time. */
export class ReadThread implements SqlRunner {
  readonly dialect = "sqlite";
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  readonly #owner: ThreadOwner;
  #tenant: string | undefined;
  #open = false;
  #failed = false;
  #slowestMs = 0;

  constructor(path: string, owner: ThreadOwner) {
    this.#owner = owner;
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#worker = new Worker(new URL(`./read-worker.${extension}`, import.meta.url), {
      workerData: path,
    });
    this.#worker.unref();
    this.#worker.on("message", (response: ReadResponse) => this.#settle(response));
    this.#worker.on("error", (error) => this.#fail(error));
    void this.#send("select 1", []).then(
      () => owner.ready(),
      () => undefined,
    );
  }

  get hasFailed(): boolean {
    return this.#failed;
  }

  /** How long the slowest statement of the snapshot took. */
  get slowestMs(): number {
    return this.#slowestMs;
  }

  /** Takes a snapshot for `tenant`. */
  begin(tenant: string | undefined): void {
    this.#open = true;
    this.#tenant = tenant;
    this.#slowestMs = 0;
    void this.#send("begin", []).catch(() => undefined);
  }

  /** Ends the snapshot. */
  end(): void {
    this.#open = false;
    void this.#send("rollback", []).catch(() => undefined);
  }

  async query(fragment: SqlFragment): Promise<readonly Row[]> {
    return (await this.queryText(fragment.texts.join("?"), fragment.values)).rows;
  }

  async queryText(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    if (!this.#open) throw readEnded();
    return this.#send(text, values);
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#worker.terminate();
  }

  #send(text: string, values: readonly SqlValue[]): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const request: ReadRequest = {
        id: this.#nextId++,
        text,
        values,
        tenant: this.#tenant,
      };
      this.#pending.set(request.id, { resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  #settle(response: ReadResponse): void {
    const pending = this.#pending.get(response.id);
    this.#pending.delete(response.id);
    this.#slowestMs = Math.max(this.#slowestMs, response.elapsedMs);
    if ("result" in response) pending?.resolve(response.result);
    else
      pending?.reject(
        readFailure(Object.assign(new Error(response.message), { errcode: response.errcode })),
      );
  }

  #fail(error: unknown): void {
    this.#failed = true;
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#owner.failed();
  }
}
