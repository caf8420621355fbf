import { hash } from "node:crypto";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** What a request brings to its unit of work. */
export interface UnitRequest {
  readonly key: string;
  /** JSON text of the request body. */
  readonly body: string;
}

/** What a request is answered. */
export interface UnitAnswer {
  readonly status: number;
  /** JSON text. */
  readonly body: string;
}

const schema = `
create table if not exists projects(tenant text, id text, name text, status text, description text,
  created_by text, created_at integer, primary key(tenant, id)) strict, without rowid;
create table if not exists idempotency(digest blob primary key, fingerprint blob, status integer,
  body text, created_at integer) strict, without rowid;
create table if not exists jobs(id integer primary key, queue text, type text, state integer,
  priority integer, run_at integer, attempt integer, max_attempts integer, payload text, tenant text) strict;
create index if not exists jobs_ready on jobs(queue, priority, run_at, id) where state = 0;
create table if not exists events(seq integer primary key autoincrement, type text, tenant text,
  created_at integer, data text, request_id text) strict;`;

const tenant = "ten_bench";
const principal = "usr_bench";

/** A connection that runs units of work in groups: one transaction, a savepoint per unit. */
export interface Units {
  readonly database: DatabaseSync;
  /** Runs the whole group and commits it; position by position the answers. */
  runGroup(requests: readonly UnitRequest[]): UnitAnswer[];
}

/** Opens the database file with the given commit durability and automatic checkpoint (0: never). */
export function openUnits(
  path: string,
  synchronous: "FULL" | "NORMAL",
  autoCheckpointPages: number,
): Units {
  const database = new DatabaseSync(path);
  database.exec(
    `pragma journal_mode=wal; pragma synchronous=${synchronous}; pragma temp_store=memory;
     pragma cache_size=-65536; pragma wal_autocheckpoint=${autoCheckpointPages};`,
  );
  database.exec(schema);
  const statements = prepareStatements(database);
  return { database, runGroup: (requests) => runGroup(statements, requests) };
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    begin: prepare("begin immediate"),
    commit: prepare("commit"),
    savepoint: prepare("savepoint unit"),
    release: prepare("release unit"),
    findAnswer: prepare("select fingerprint, status, body from idempotency where digest = ?"),
    insertProject: prepare("insert into projects values (?, ?, ?, ?, ?, ?, ?)"),
    insertJob: prepare(
      `insert into jobs(queue, type, state, priority, run_at, attempt, max_attempts, payload, tenant)
       values ('default', 'slack-alert', 0, 0, ?, 0, 3, ?, ?)`,
    ),
    insertEvent: prepare(
      `insert into events(type, tenant, created_at, data, request_id)
       values ('project.created', ?, ?, ?, ?)`,
    ),
    insertAnswer: prepare("insert into idempotency values (?, ?, ?, ?, ?)"),
  };
}

function runGroup(statements: Statements, requests: readonly UnitRequest[]): UnitAnswer[] {
  statements.begin.run();
  const answers: UnitAnswer[] = [];
  for (const request of requests) {
    statements.savepoint.run();
    answers.push(runUnit(statements, request));
    statements.release.run();
  }
  statements.commit.run();
  return answers;
}

function runUnit(statements: Statements, request: UnitRequest): UnitAnswer {
  const digest = hash("sha256", `${tenant}/${principal}/${request.key}`, "buffer").subarray(0, 16);
  const recorded = statements.findAnswer.get(digest);
  if (recorded !== undefined) {
    return { status: Number(recorded.status), body: String(recorded.body) };
  }
  const input: { name: string; status: string; description: string } = JSON.parse(request.body);
  const now = Date.now();
  const id = `proj_${now.toString(36)}${digest.toString("hex", 0, 8)}`;
  const data = { id, ...input, createdBy: principal, createdAt: new Date(now).toISOString() };
  const body = JSON.stringify({ success: true, data });
  statements.insertProject.run(
    tenant,
    id,
    input.name,
    input.status,
    input.description,
    principal,
    now,
  );
  statements.insertJob.run(now, body, tenant);
  statements.insertEvent.run(tenant, now, body, id);
  statements.insertAnswer.run(digest, digest, 201, body, now);
  return { status: 201, body };
}
