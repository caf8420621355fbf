import { hash } from "node:crypto";
import { fdatasync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { promisify } from "node:util";
import { newId } from "apiforge";

const sync = promisify(fdatasync);
const tenant = "ten_bench";
const subject = "usr_bench";
const contentHeaders = '{"content-type":"application/json; charset=utf-8"}';

/** The fields of a new project, unchecked. */
export interface ProjectInput {
  readonly name: string;
  readonly status: string;
  readonly description: string;
}

interface Unit {
  readonly input: ProjectInput;
  readonly key: string;
  readonly resolve: (body: string) => void;
}

/**
 * The rows of one request and nothing else: a look for the key, project, job, event and answer; what
 * waits shares a commit, and one sync of the log lets its answers go. No savepoints, no checkpoints.
 */
export class BareWriter {
  readonly #walPath: string;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #findAnswer: StatementSync;
  readonly #insertProject: StatementSync;
  readonly #insertJob: StatementSync;
  readonly #insertEvent: StatementSync;
  readonly #insertAnswer: StatementSync;
  #queue: Unit[] = [];
  #committed: (() => void)[] = [];
  #isSyncing = false;
  #file: number | undefined;
  #n = 0;

  /** @param path a database that the server of ours has made. */
  constructor(path: string) {
    this.#walPath = `${path}-wal`;
    const database = new DatabaseSync(path);
    database.exec("pragma synchronous = normal; pragma wal_autocheckpoint = 0");
    database.exec("pragma temp_store = memory; pragma cache_size = -8192");
    this.#begin = database.prepare("begin immediate");
    this.#commit = database.prepare("commit");
    this.#findAnswer = database.prepare("select * from forge_idempotency where digest = ?");
    this.#insertProject = database.prepare(
      `insert into projects (tenant, id, name, status, description, created_by, created_at, updated_at)
       values ('${tenant}', ?, ?, ?, ?, '${subject}', ?, ?)`,
    );
    this.#insertJob = database.prepare(
      `insert into forge_jobs (n, id, queue, type, tenant, payload, state, priority, run_at,
         max_attempts, request_id, created_at)
       values (?, ?, 'default', 'slack-alert', '${tenant}', ?, 1, 0, ?, 3, ?, ?)`,
    );
    this.#insertEvent = database.prepare(
      `insert into forge_events (seq, id, type, tenant, data, request_id, created_at)
       values (?, ?, 'project.created', '${tenant}', ?, ?, ?)`,
    );
    this.#insertAnswer = database.prepare(
      `insert into forge_idempotency
         (digest, fingerprint, idempotency_key, status, headers, body, seq, created_at)
       values (?, ?, ?, 201, '${contentHeaders}', ?, ?, ?)`,
    );
  }

  /** The answer's body, once the commit is on disk. */
  create(input: ProjectInput, key: string): Promise<string> {
    return new Promise((resolve) => {
      if (this.#queue.length === 0) setImmediate(() => this.#runGroup());
      this.#queue.push({ input, key, resolve });
    });
  }

  #runGroup(): void {
    const group = this.#queue;
    this.#queue = [];
    this.#begin.run();
    const bodies = group.map(({ input, key }) => this.#write(input, key));
    this.#commit.run();
    const answer = (): void => group.forEach(({ resolve }, index) => resolve(bodies[index] ?? ""));
    this.#committed.push(answer);
    if (!this.#isSyncing) void this.#sync();
  }

  #write({ name, status, description }: ProjectInput, key: string): string {
    const digest = Buffer.from(hash("sha256", key, "latin1").slice(0, 16), "latin1");
    if (this.#findAnswer.get(digest) !== undefined) throw new Error("The key is answered");
    const n = ++this.#n;
    const nowMs = Date.now();
    const at = new Date(nowMs).toISOString();
    const requestId = newId("req");
    const id = newId("proj");
    const data = {
      id,
      name,
      status,
      description,
      createdBy: subject,
      createdAt: at,
      updatedAt: at,
    };
    const body = JSON.stringify({ success: true, data });
    this.#insertProject.run(id, name, status, description, nowMs, nowMs);
    this.#insertJob.run(n, newId("job"), body, nowMs, requestId, nowMs);
    this.#insertEvent.run(n, newId("evt"), body, requestId, nowMs);
    this.#insertAnswer.run(digest, digest, key, body, n, nowMs);
    return body;
  }

  async #sync(): Promise<void> {
    this.#isSyncing = true;
    this.#file ??= openSync(this.#walPath, "r+");
    while (this.#committed.length > 0) {
      const committed = this.#committed;
      this.#committed = [];
      await sync(this.#file);
      for (const answer of committed) answer();
    }
    this.#isSyncing = false;
  }
}
