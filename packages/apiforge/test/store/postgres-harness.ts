import { createDatabase, ManualClock, type TestDatabase } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { hash } from "node:crypto";
import { Client, types } from "pg";
import { onTestFinished } from "vitest";
import { newId, silentLog } from "../../src/kernel/index.ts";
import type { NewEvent, NewJob, SqlFragment, SqlValue, Store } from "../../src/store/index.ts";
import { openPostgresStore, type PostgresStoreOptions } from "../../src/store/postgres/store.ts";

/** The table that the tests write to. */
export const noteTable = {
  name: "0001-note",
  sqlite: "",
  postgres: "create table note (id text primary key, body text not null default '')",
};

/** An empty database, removed when the test ends; then no connection to it may be open. */
export async function newDatabase(): Promise<TestDatabase> {
  const database = await createDatabase(postgresUrl());
  onTestFinished(async () => {
    await database.assertNoConnections();
    await database.drop();
  });
  return database;
}

/** A store on `url` as one node has it, closed when the test ends. Its clock stands still unless moved. */
export async function openNode(
  url: string,
  options: Partial<PostgresStoreOptions> = {},
): Promise<Store & { readonly clock: ManualClock }> {
  const clock = new ManualClock();
  const store = await openPostgresStore({
    url,
    migrations: [noteTable],
    transactionLimitMs: 1_500,
    log: silentLog,
    clock,
    ...options,
  });
  onTestFinished(() => store.close());
  return Object.assign(store, { clock });
}

/** A connection beside the store's, closed when the test ends. */
export async function rawClient(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: "raw" });
  client.on("error", () => undefined);
  client.setTypeParser(types.builtins.INT8, Number);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** A statement for the store, written as a template. */
export function statement(texts: TemplateStringsArray, ...values: SqlValue[]): SqlFragment {
  return { texts, values };
}

/** The ids of the committed notes, sorted. */
export async function noteIds(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>("select id from note order by id");
  return rows.map((row) => row.id);
}

/** An event with this id. */
export function eventOf(id: string): NewEvent {
  return { id, type: "note.added", tenant: "t", data: "{}", requestId: "r", createdAt: 1 };
}

/** A ready job of queue `mail`, with the given differences. */
export function jobOf(differences: Partial<NewJob> = {}): NewJob {
  return {
    id: newId("job"),
    queue: "mail",
    type: "send",
    tenant: "t",
    payload: "{}",
    priority: 0,
    delayMs: 0,
    maxAttempts: 3,
    requestId: "r",
    traceparent: null,
    dedupeKey: null,
    lane: null,
    deadlineMs: null,
    ...differences,
  };
}

/** 16 bytes that stand for `text`. */
export function digestOf(text: string): Buffer {
  return Buffer.from(hash("sha256", text), "hex").subarray(0, 16);
}

/** Process ids of the backends that serve a store's connections, by what `condition` says of them. */
export async function backends(client: Client, condition = "true"): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select pid from pg_stat_activity
     where datname = current_database() and application_name = 'apiforge' and ${condition}`,
  );
  return rows.map((row) => row.pid);
}

/** Ends the sessions that `condition` names; the tests fail when there is none. */
export async function terminate(client: Client, condition = "true"): Promise<void> {
  const pids = await backends(client, condition);
  if (pids.length === 0) throw new Error(`No session to end: ${condition}`);
  await client.query("select pg_terminate_backend(pid) from unnest($1::int[]) as pid", [pids]);
}
