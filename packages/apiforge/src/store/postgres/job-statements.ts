import type { NewJob } from "../contract.ts";
import { fewestPacked, packRuns } from "../pack-runs.ts";
import { command, type Command } from "./command.ts";
import { insertPack } from "./packs.ts";
import { rowsCommand, rowsStatement } from "./rows.ts";

const columns = `id, queue, type, tenant, payload, priority, max_attempts, dedupe_key, request_id, lane, ordered,
  traceparent`;
const columnTypes = [
  ...["text", "text", "text", "text", "text", "integer", "integer", "text", "text"],
  ...["text", "smallint", "text", "bigint", "bigint"],
];
const insert = rowsStatement(
  columnTypes,
  (source) => `insert into forge_jobs (${columns}, state, run_at, created_at, deadline_at)
   select ${columns}, case when delay_ms > 0 then 0 when lane is null then 1 else -1 end,
     forge_now() + delay_ms, forge_now(), forge_now() + deadline_ms
   from ${source} as job (${columns}, delay_ms, deadline_ms)`,
);
const insertUniqueText = `${insert.one}
   on conflict (type, dedupe_key) where dedupe_key is not null and state < 3 do nothing`;
const holderText = "select id from forge_jobs where type = $1 and dedupe_key = $2 and state < 3";
/** The server's time in a condition: the bare function is asked for every row, and no index is used. */
export const now = "(select forge_now())";

/** Inserts jobs without dedupe keys, in their order. The transaction counts them into their lanes. */
export function insertJobs(jobs: readonly NewJob[]): readonly Command[] {
  const commands: Command[] = [];
  let rows: NewJob[] = [];
  const insertRows = (): void => {
    if (rows.length > 0) commands.push(rowsCommand(insert, rows.map(toRow)));
    rows = [];
  };
  for (const run of packRuns(jobs)) {
    const [first, ...rest] = run;
    if (first === undefined || run.length < fewestPacked) {
      rows.push(...run);
      continue;
    }
    insertRows();
    commands.push(insertPack([first, ...rest]));
  }
  insertRows();
  return commands;
}

/** Inserts a job unless a live one holds its dedupe key. */
export function insertUniqueJob(job: NewJob): Command {
  return command(insertUniqueText, ...toRow(job));
}

/** Reads the id of the live job that holds a dedupe key. */
export function findHolder(job: NewJob): Command {
  return command(holderText, job.type, job.dedupeKey);
}

function toRow(job: NewJob): (string | number | null)[] {
  return [
    job.id,
    job.queue,
    job.type,
    job.tenant,
    job.payload,
    job.priority,
    job.maxAttempts,
    job.dedupeKey,
    job.requestId,
    job.lane?.key ?? null,
    job.lane?.ordered === true ? 1 : 0,
    job.traceparent,
    Math.ceil(job.delayMs),
    job.deadlineMs === null ? null : Math.ceil(job.deadlineMs),
  ];
}
