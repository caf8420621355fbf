import type { StatementSync } from "node:sqlite";

import type { Clock } from "../../kernel/index.ts";
import type {
  BatchOpening,
  BatchProgress,
  BatchRecord,
  ChunkProgress,
  DeadChunkJob,
  NewBatch,
  NewChunk,
  StoredChunk,
} from "../batch-contract.ts";
import {
  chunkSelect,
  reportEveryMs,
  toBatchRecord,
  toDeadChunkJob,
  toStoredChunk,
} from "../batch-row.ts";
import type { SqliteConnection } from "./connection.ts";

/** Batches, as statements of the one writing connection. Every method runs inside a unit of work. */
export class BatchTable {
  readonly #clock: Clock;
  readonly #insert: StatementSync;
  readonly #insertChunk: StatementSync;
  readonly #open: StatementSync;
  readonly #saveOutcomes: StatementSync;
  readonly #count: StatementSync;
  readonly #take: StatementSync;
  readonly #finish: StatementSync;
  readonly #cancel: StatementSync;
  readonly #hasten: StatementSync;
  readonly #removeDead: StatementSync;
  readonly #find: StatementSync;
  readonly #loadChunk: StatementSync;
  readonly #deadJobs: StatementSync;
  readonly #discard: StatementSync;
  readonly #giveUp: StatementSync;
  readonly #expired: StatementSync;
  readonly #deleteOutcomes: StatementSync;
  readonly #deleteChunks: StatementSync;
  readonly #deleteBatch: StatementSync;

  constructor(connection: SqliteConnection, clock: Clock) {
    this.#clock = clock;
    this.#insert = connection.prepare(
      `insert into forge_batches (id, type, tenant, request_id, created_at, updated_at)
       values (?1, ?2, ?3, ?4, ?5, ?5) on conflict (id) do update set updated_at = excluded.updated_at`,
    );
    this.#insertChunk = connection.prepare(
      `insert into forge_batch_chunks (batch_id, position, first_index, item_count, items)
       values (?, ?, ?, ?, ?)`,
    );
    this.#open = connection.prepare(
      `update forge_batches set state = 1, owner = ?, total = ?, chunks = ?, next_chunk = ?, updated_at = ?
       where id = ? and state = 0 and expires_at is null
         and (select count(*) from forge_batch_chunks where batch_id = forge_batches.id) = ?`,
    );
    this.#saveOutcomes = connection.prepare(
      `insert into forge_batch_outcomes (batch_id, position, succeeded, failed, closed, outcomes)
       values (?, ?, ?, ?, ?, ?) on conflict (batch_id, position) do update set
         succeeded = excluded.succeeded, failed = excluded.failed, closed = excluded.closed,
         outcomes = excluded.outcomes`,
    );
    this.#count = connection.prepare(
      `update forge_batches set
         succeeded = succeeded + ?2, failed = failed + ?3, closed_chunks = closed_chunks + ?4,
         state = case when state = 1 then 2 else state end,
         started_at = coalesce(started_at, ?5), updated_at = ?5,
         report_due = reported_at + ${reportEveryMs} <= ?5,
         reported_at = case when reported_at + ${reportEveryMs} <= ?5 then ?5 else reported_at end
       where id = ?1 returning *`,
    );
    this.#take = connection.prepare(
      `update forge_batches set next_chunk = next_chunk + 1
       where id = ? and next_chunk < chunks and cancelled_at is null returning next_chunk - 1 as position`,
    );
    this.#finish = connection.prepare(
      `update forge_batches set
         state = case when cancelled_at is not null then 5 when failed = total then 4 else 3 end,
         cancelled = total - succeeded - failed, finished_at = ?2, expires_at = ?2 + ?3
       where id = ?1 and finished_at is null
         and closed_chunks = case when cancelled_at is null then chunks else next_chunk end
       returning *`,
    );
    this.#cancel = connection.prepare(
      `update forge_batches set state = 5, cancelled_at = ?2 where id = ?1 and state in (1, 2)`,
    );
    this.#hasten = connection.prepare(
      `update forge_jobs set run_at = ?1
       where type = ?2 and dedupe_key >= ?3 and dedupe_key < ?4 and state = 0 and run_at > ?1`,
    );
    this.#removeDead = connection.prepare("delete from forge_jobs where n = ? and state = 4");
    this.#find = connection.prepare("select * from forge_batches where id = ? and state > 0");
    this.#loadChunk = connection.prepare(
      `${chunkSelect} where chunk.batch_id = ? and chunk.position = ?`,
    );
    this.#deadJobs = connection.prepare(
      `select n, type, tenant, request_id, payload from forge_jobs
       where state = 4 and type in (select value from json_each(?)) order by n limit ?`,
    );
    this.#discard = connection.prepare(
      "update forge_batches set expires_at = 0 where id = ? and state = 0",
    );
    this.#giveUp = connection.prepare(
      `update forge_batches set expires_at = 0
       where state = 0 and updated_at < ? and expires_at is null`,
    );
    this.#expired = connection.prepare(
      "select id from forge_batches where expires_at < ? order by expires_at limit 1",
    );
    const firstRows = (table: string): string => `delete from ${table} where n in
       (select n from ${table} where batch_id = ? order by position limit ?)`;
    this.#deleteOutcomes = connection.prepare(firstRows("forge_batch_outcomes"));
    this.#deleteChunks = connection.prepare(firstRows("forge_batch_chunks"));
    this.#deleteBatch = connection.prepare("delete from forge_batches where id = ?");
  }

  stage(batch: NewBatch, chunks: readonly NewChunk[]): void {
    this.#insert.run(batch.id, batch.type, batch.tenant, batch.requestId, this.#clock.now());
    for (const { position, firstIndex, itemCount, items } of chunks) {
      this.#insertChunk.run(batch.id, position, firstIndex, itemCount, items);
    }
  }

  open({ id, owner, total, chunks, taken }: BatchOpening): boolean {
    return this.#open.run(owner, total, chunks, taken, this.#clock.now(), id, chunks).changes === 1;
  }

  record(progress: ChunkProgress): BatchProgress | undefined {
    const { batchId, position, succeeded, failed, closes, outcomes } = progress;
    const nowMs = this.#clock.now();
    const closed = Number(closes);
    const counted = this.#count.get(
      ...[batchId, progress.newlySucceeded, progress.newlyFailed, closed, nowMs],
    );
    if (counted === undefined) return undefined;
    this.#saveOutcomes.run(batchId, position, succeeded, failed, closed, outcomes);
    const taken = progress.takesNext ? this.#take.get(batchId) : undefined;
    const finished = closes ? this.#finish.get(batchId, nowMs, progress.retentionMs) : undefined;
    return {
      batch: toBatchRecord(finished ?? counted),
      next: taken === undefined ? undefined : Number(taken["position"]),
      reportDue: counted["report_due"] === 1,
    };
  }

  cancel(id: string): BatchRecord | undefined {
    this.#cancel.run(id, this.#clock.now());
    return this.find(id);
  }

  hasten(jobType: string, keyPrefix: string): void {
    this.#hasten.run(this.#clock.now(), jobType, keyPrefix, `${keyPrefix}\u{10ffff}`);
  }

  removeDeadJob(n: number): boolean {
    return this.#removeDead.run(n).changes === 1;
  }

  find(id: string): BatchRecord | undefined {
    const row = this.#find.get(id);
    return row === undefined ? undefined : toBatchRecord(row);
  }

  loadChunk(batchId: string, position: number): StoredChunk | undefined {
    const row = this.#loadChunk.get(batchId, position);
    return row === undefined ? undefined : toStoredChunk(row);
  }

  deadJobs(types: readonly string[], limit: number): readonly DeadChunkJob[] {
    return this.#deadJobs.all(JSON.stringify(types), limit).map(toDeadChunkJob);
  }

  discard(id: string): void {
    this.#discard.run(id);
  }

  sweep(abandonedMs: number, limit: number): number {
    const nowMs = this.#clock.now();
    this.#giveUp.run(nowMs - abandonedMs);
    const id = this.#expired.get(nowMs)?.["id"];
    if (typeof id !== "string") return 0;
    const outcomes = Number(this.#deleteOutcomes.run(id, limit).changes);
    const chunks = Number(this.#deleteChunks.run(id, limit).changes);
    if (chunks === limit) return outcomes + chunks;
    return outcomes + chunks + Number(this.#deleteBatch.run(id).changes);
  }
}
