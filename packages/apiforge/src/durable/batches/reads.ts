import type { BatchRecord, Row, SqlRunner, StoredChunk } from "../../store/index.ts";
import { chunkSelect, toBatchRecord, toStoredChunk } from "../../store/index.ts";
import { sql, SqlPiece } from "../sql.ts";
import type { ItemError } from "./definition.ts";
import { attemptsOf, errorOf, isFinal, parseOutcomes, type Outcome } from "./outcomes.ts";

/** What can become of an item. */
export const itemStatuses = ["pending", "succeeded", "failed", "cancelled"] as const;
export type ItemStatus = (typeof itemStatuses)[number];

/** One item of a batch as it stands. */
export interface BatchItem {
  readonly index: number;
  /** As it was sent. */
  readonly item: unknown;
  readonly status: ItemStatus;
  /** Attempts that have ended. */
  readonly attempts: number;
  /** What the handler returned; null unless it succeeded. */
  readonly result: unknown;
  /** Why it failed, or why it will be tried again. */
  readonly error: ItemError | null;
}

/** Which items are wanted. */
export interface ItemQuery {
  /** Default: all. */
  readonly status?: ItemStatus | undefined;
  /** Only items with a higher index; default from the first. */
  readonly after?: number | undefined;
  readonly limit: number;
}

/** Reads batches on one snapshot. */
export interface BatchReader {
  /** One row by its key, whatever the size of the batch. */
  find(id: string): Promise<BatchRecord | undefined>;
  /** Items in the order of their index; none when there is no such batch. */
  items(id: string, query: ItemQuery): Promise<readonly BatchItem[]>;
}

const chunksPerRead = 4;

/** Batches as `runner` sees them. */
export function batchReader(runner: SqlRunner): BatchReader {
  return {
    async find(id) {
      const [row] = await runner.query(
        sql`select * from forge_batches where id = ${id} and state > 0`,
      );
      return row === undefined ? undefined : toBatchRecord(row);
    },
    items: (id, query) => readItems(runner, id, query),
  };
}

async function readItems(
  runner: SqlRunner,
  id: string,
  { status, after = -1, limit }: ItemQuery,
): Promise<readonly BatchItem[]> {
  const found: BatchItem[] = [];
  let position = -1;
  while (found.length < limit) {
    const chunks = await readChunks(runner, id, { position, after, status });
    for (const chunk of chunks) {
      position = chunk.position;
      for (const item of itemsOf(chunk)) {
        if (item.index <= after || (status !== undefined && item.status !== status)) continue;
        found.push(item);
        if (found.length === limit) return found;
      }
    }
    if (chunks.length < chunksPerRead) break;
  }
  return found;
}

interface ChunkQuery {
  /** Only chunks behind this one. */
  readonly position: number;
  /** Only chunks with items behind this one. */
  readonly after: number;
  readonly status: ItemStatus | undefined;
}

async function readChunks(
  runner: SqlRunner,
  id: string,
  { position, after, status }: ChunkQuery,
): Promise<readonly StoredChunk[]> {
  const rows: readonly Row[] = await runner.query(
    sql`${select} where chunk.batch_id = ${id} and batch.state > 0
      and chunk.position > ${position} and chunk.first_index + chunk.item_count > ${after + 1}
      and ${mayHold(status)} order by chunk.position limit ${chunksPerRead}`,
  );
  return rows.map(toStoredChunk);
}

/** The next few chunks behind `position`. */
export function readChunksAfter(
  runner: SqlRunner,
  id: string,
  position: number,
): Promise<readonly StoredChunk[]> {
  return readChunks(runner, id, { position, after: -1, status: undefined });
}

const select = new SqlPiece([chunkSelect], []);
const everyChunk = sql`1 = 1`;
const withSucceeded = sql`outcome.succeeded > 0`;
const withFailed = sql`outcome.failed > 0`;
const withUnfinished = sql`coalesce(outcome.succeeded + outcome.failed, 0) < chunk.item_count`;

/** Leaves out chunks without an item of `status`, so that a few failures among a million are found fast. */
function mayHold(status: ItemStatus | undefined) {
  if (status === undefined) return everyChunk;
  if (status === "succeeded") return withSucceeded;
  return status === "failed" ? withFailed : withUnfinished;
}

/** The items of a chunk with what became of them. */
export function itemsOf(chunk: StoredChunk): readonly BatchItem[] {
  // Stored by us as an array of the items as they came in.
  const items = JSON.parse(chunk.items) as readonly unknown[];
  const outcomes = parseOutcomes(chunk.outcomes, items.length);
  const isOver =
    chunk.batch.state === "cancelled" && (chunk.closed || chunk.batch.finishedAt !== null);
  return items.map((item, offset) => {
    const outcome = outcomes[offset] ?? null;
    return {
      index: chunk.firstIndex + offset,
      item,
      status: statusOf(outcome, isOver),
      attempts: attemptsOf(outcome),
      result: outcome?.[0] === 1 ? outcome[2] : null,
      error: errorOf(outcome),
    };
  });
}

function statusOf(outcome: Outcome, isOver: boolean): ItemStatus {
  if (outcome !== null && isFinal(outcome)) return outcome[0] === 1 ? "succeeded" : "failed";
  return isOver ? "cancelled" : "pending";
}
