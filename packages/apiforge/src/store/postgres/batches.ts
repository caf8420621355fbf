import type {
  BatchRecord,
  BatchStore,
  BatchTransaction,
  ChunkProgress,
  DeadChunkJob,
  StoredChunk,
} from "../batch-contract.ts";
import {
  chunkSelect,
  reportEveryMs,
  toBatchRecord,
  toDeadChunkJob,
  toStoredChunk,
} from "../batch-row.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import { now } from "./job-statements.ts";
import type { ConnectionPool } from "./pool.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

type Send = (commands: readonly Command[]) => Promise<readonly ExecutionResult[]>;

const insertText = `insert into forge_batches (id, type, tenant, request_id, created_at, updated_at)
   values ($1, $2, $3, $4, ${now}, ${now})
   on conflict (id) do update set updated_at = excluded.updated_at`;
const chunkColumns = "batch_id, position, first_index, item_count, items";
const insertChunks = rowsStatement(
  ["text", "integer", "integer", "integer", "text"],
  (source) => `insert into forge_batch_chunks (${chunkColumns})
   select ${chunkColumns} from ${source} as chunk (${chunkColumns})`,
);
const openText = `update forge_batches
   set state = 1, owner = $2, total = $3, chunks = $4, next_chunk = $5, updated_at = forge_now()
   where id = $1 and state = 0 and expires_at is null
     and (select count(*) from forge_batch_chunks where batch_id = $1) = $4`;
const saveOutcomesText = `insert into forge_batch_outcomes
     (batch_id, position, succeeded, failed, closed, outcomes)
   values ($1, $2, $3, $4, $5, $6) on conflict (batch_id, position) do update set
     succeeded = excluded.succeeded, failed = excluded.failed, closed = excluded.closed,
     outcomes = excluded.outcomes`;
const countText = `update forge_batches batch set
     succeeded = batch.succeeded + $2, failed = batch.failed + $3,
     closed_chunks = batch.closed_chunks + $4,
     state = case when batch.state = 1 then 2 else batch.state end,
     started_at = coalesce(batch.started_at, clock.at), updated_at = clock.at,
     report_due = case when batch.reported_at + ${reportEveryMs} <= clock.at then 1 else 0 end,
     reported_at = case when batch.reported_at + ${reportEveryMs} <= clock.at
       then clock.at else batch.reported_at end
   from (select forge_now() as at) clock
   where batch.id = $1 returning batch.*`;
const takeText = `update forge_batches set next_chunk = next_chunk + 1
   where id = $1 and next_chunk < chunks and cancelled_at is null
   returning next_chunk - 1 as position`;
const finishText = `update forge_batches batch set
     state = case when batch.cancelled_at is not null then 5
       when batch.failed = batch.total then 4 else 3 end,
     cancelled = batch.total - batch.succeeded - batch.failed,
     finished_at = clock.at, expires_at = clock.at + $2
   from (select forge_now() as at) clock
   where batch.id = $1 and batch.finished_at is null and batch.closed_chunks =
     case when batch.cancelled_at is null then batch.chunks else batch.next_chunk end
   returning batch.*`;
const cancelText = `update forge_batches set state = 5, cancelled_at = forge_now()
   where id = $1 and state in (1, 2)`;
const hastenText = `update forge_jobs set run_at = ${now}
   where type = $1 and dedupe_key is not null and state = 0 and starts_with(dedupe_key, $2)
     and run_at > ${now}`;
const removeDeadText = "delete from forge_jobs where n = $1 and state = 4";
const findText = "select * from forge_batches where id = $1 and state > 0";
const loadChunkText = `${chunkSelect} where chunk.batch_id = $1 and chunk.position = $2`;
const deadJobsText = `select n, type, tenant, request_id, payload from forge_jobs
   where state = 4 and type = any($1::text[]) order by n limit $2`;
const discardText = "update forge_batches set expires_at = 0 where id = $1 and state = 0";
const giveUpText = `update forge_batches set expires_at = 0
   where state = 0 and updated_at < ${now} - $1::bigint and expires_at is null`;
// One batch per call; whoever sweeps it keeps others from sweeping the same.
const sweepText = `with expired as materialized (
     select id from forge_batches where expires_at < ${now}
     order by expires_at limit 1 for update skip locked
   ), outcomes as (
     delete from forge_batch_outcomes where n = any(array(
       select outcome.n from forge_batch_outcomes outcome join expired on expired.id = batch_id
       order by position limit $1)) returning n
   ), chunks as (
     delete from forge_batch_chunks where n = any(array(
       select chunk.n from forge_batch_chunks chunk join expired on expired.id = batch_id
       order by position limit $1)) returning n
   ), batches as (
     delete from forge_batches where id in (select id from expired)
       and (select count(*) from chunks) < $1 returning n
   )
   select (select count(*) from outcomes) + (select count(*) from chunks)
     + (select count(*) from batches) as swept`;

/** Batches inside the transaction that `send` sends to. */
export function batchTransaction(send: Send): BatchTransaction {
  return {
    async stage(batch, chunks) {
      const { id, type, tenant, requestId } = batch;
      const rows = chunks.map(({ position, firstIndex, itemCount, items }) => [
        ...[id, position, firstIndex, itemCount, items],
      ]);
      await send([
        command(insertText, id, type, tenant, requestId),
        ...(rows.length === 0 ? [] : [rowsCommand(insertChunks, rows)]),
      ]);
    },
    async open({ id, owner, total, chunks, taken }) {
      const [opened] = await send([command(openText, id, owner, total, chunks, taken)]);
      return opened?.changes === 1;
    },
    record: (progress) => record(send, progress),
    async cancel(id) {
      const [, found] = await send([command(cancelText, id), command(findText, id)]);
      return firstBatch(found);
    },
    async hasten(jobType, keyPrefix) {
      await send([command(hastenText, jobType, keyPrefix)]);
    },
    async removeDeadJob(n) {
      const [removed] = await send([command(removeDeadText, n)]);
      return removed?.changes === 1;
    },
  };
}

async function record(send: Send, progress: ChunkProgress) {
  const { batchId, position, succeeded, failed, closes, outcomes } = progress;
  const { newlySucceeded, newlyFailed, takesNext, retentionMs } = progress;
  const closed = Number(closes);
  // The batch's row is locked from here to the commit, so the larger row goes first.
  const [, counted, taken, finished] = await send([
    command(saveOutcomesText, batchId, position, succeeded, failed, closed, outcomes),
    command(countText, batchId, newlySucceeded, newlyFailed, closed),
    command(takeText, takesNext ? batchId : null),
    command(finishText, closes ? batchId : null, retentionMs),
  ]);
  const [row] = counted?.rows ?? [];
  if (row === undefined) return undefined;
  const [next] = taken?.rows ?? [];
  return {
    batch: firstBatch(finished) ?? toBatchRecord(row),
    next: next === undefined ? undefined : Number(next["position"]),
    reportDue: Number(row["report_due"]) === 1,
  };
}

function firstBatch(result: ExecutionResult | undefined): BatchRecord | undefined {
  const [row] = result?.rows ?? [];
  return row === undefined ? undefined : toBatchRecord(row);
}

/** Batches outside of handlers' transactions. */
export class BatchTable implements BatchStore {
  readonly #pool: ConnectionPool;

  constructor(pool: ConnectionPool) {
    this.#pool = pool;
  }

  async find(id: string): Promise<BatchRecord | undefined> {
    const [found] = await this.#pool.run("find batch", [command(findText, id)]);
    return firstBatch(found);
  }

  async loadChunk(batchId: string, position: number): Promise<StoredChunk | undefined> {
    const [found] = await this.#pool.run("load chunk", [command(loadChunkText, batchId, position)]);
    const [row] = found?.rows ?? [];
    return row === undefined ? undefined : toStoredChunk(row);
  }

  async deadJobs(types: readonly string[], limit: number): Promise<readonly DeadChunkJob[]> {
    const [found] = await this.#pool.run("dead chunks", [command(deadJobsText, types, limit)]);
    return found?.rows.map(toDeadChunkJob) ?? [];
  }

  async discard(id: string): Promise<void> {
    await this.#pool.run("discard batch", [command(discardText, id)]);
  }

  async sweep(abandonedMs: number, limit: number): Promise<number> {
    const [, swept] = await this.#pool.run("sweep batches", [
      command(giveUpText, abandonedMs),
      command(sweepText, limit),
    ]);
    return Number(swept?.rows[0]?.["swept"] ?? 0);
  }
}
