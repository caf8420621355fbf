import { hash } from "node:crypto";
import { newId } from "apiforge/internal/kernel";
import type {
  IdempotencyRecord,
  JobLane,
  NewEvent,
  NewJob,
  SqlFragment,
  SqlRunner,
  SqlValue,
  Store,
} from "apiforge/internal/store";

/** A statement for {@link SqlRunner.query}, written as a template. */
export function statement(texts: TemplateStringsArray, ...values: SqlValue[]): SqlFragment {
  return { texts, values };
}

/** A job of type `send` in queue `mail` with 3 attempts, ready at once, with the given differences. */
export function sampleJob(differences: Partial<NewJob> = {}): NewJob {
  return {
    id: newId("job"),
    queue: "mail",
    type: "send",
    tenant: "ten_1",
    payload: '{"to":"priya"}',
    priority: 0,
    delayMs: 0,
    maxAttempts: 3,
    requestId: "req_1",
    traceparent: null,
    dedupeKey: null,
    lane: null,
    deadlineMs: null,
    ...differences,
  };
}

/** A lane without limits, with the given differences. */
export function sampleLane(key: string, differences: Partial<JobLane> = {}): JobLane {
  return { key, concurrency: null, spacingUs: 0, ordered: false, ...differences };
}

/** An event of type `note.added`, with the given differences. */
export function sampleEvent(differences: Partial<NewEvent> = {}): NewEvent {
  return {
    id: newId("evt"),
    type: "note.added",
    tenant: "ten_1",
    data: "{}",
    requestId: "req_1",
    createdAt: 1_700_000_000_000,
    ...differences,
  };
}

/** 16 bytes that stand for `text`. */
export function digestOf(text: string): Buffer {
  return Buffer.from(hash("sha256", text), "hex").subarray(0, 16);
}

/** The record of a 201 under `key`, with the given differences. */
export function sampleRecord(
  key: string,
  differences: Partial<IdempotencyRecord> = {},
): IdempotencyRecord {
  return {
    digest: digestOf(key),
    fingerprint: digestOf(`content of ${key}`),
    key,
    status: 201,
    headers: { "content-type": "application/json" },
    body: `{"key":"${key}"}`,
    ...differences,
  };
}

/** Commits one job and answers its id. */
export async function addJob(store: Store, differences: Partial<NewJob> = {}): Promise<string> {
  const job = sampleJob(differences);
  await store.transact("add a job", async (tx) => {
    if (job.dedupeKey === null) tx.insertJob(job);
    else await tx.insertUniqueJob(job);
  });
  return job.id;
}

/** Commits one event and answers its `seq`. */
export async function addEvent(store: Store, differences: Partial<NewEvent> = {}): Promise<number> {
  const { seq } = await store.transact("add an event", async (tx) => {
    tx.appendEvent(sampleEvent(differences));
  });
  return seq;
}

/** Inserts a row into `note`. */
export async function addNote(runner: SqlRunner, id: string): Promise<void> {
  await runner.query(statement`insert into note (id, body) values (${id}, ${"text"})`);
}

/** The ids of the committed notes, sorted. */
export async function noteIds(store: Store): Promise<string[]> {
  const rows = await store.read("list notes", (reader) =>
    reader.query(statement`select id from note order by id`),
  );
  return rows.map((row) => String(row["id"]));
}
