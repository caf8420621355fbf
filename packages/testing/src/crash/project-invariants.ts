import type { RawDatabase, RawRow } from "./raw-database.ts";

/** A 201 that a client has received for `POST /api/projects` under an idempotency key. */
export interface AcknowledgedProject {
  readonly key: string;
  readonly status: number;
  readonly body: string;
  /** Of the answer's `X-Forge-Seq`. */
  readonly seq: number;
}

/** What the invariants are checked against. */
export interface InvariantOptions {
  readonly acknowledged: readonly AcknowledgedProject[];
  /** True where no number of the log is ever given to a transaction that does not commit. */
  readonly denseLog: boolean;
}

/** The state of a job that has completed, as both stores write it. */
const completedState = 3;
const shownProblems = 20;

interface Contents {
  /** Project ids. */
  readonly projects: ReadonlySet<string>;
  /** The `seq` of every event of the log, in order. */
  readonly log: readonly number[];
  /** `seq` of each `project.created`, by project. */
  readonly created: ReadonlyMap<string, readonly number[]>;
  /** Jobs that tell of a new project, by project. */
  readonly alerts: ReadonlyMap<string, readonly unknown[]>;
  /** Recorded 201s by project. */
  readonly answers: ReadonlyMap<string, readonly AcknowledgedProject[]>;
}

/**
 * What is broken of "one request, one commit" in a database that only ever saw keyed
 * `POST /api/projects`; empty when nothing is. It holds at any instant, so also right after a kill:
 *
 * - the database itself is sound;
 * - every project has one `project.created`, one `slack-alert` job and one recorded answer, and none
 *   of these exists without its project;
 * - every acknowledged answer is recorded, byte by byte, with the same `seq`;
 * - `seq` runs from 1 without a gap where the store promises that.
 */
export async function findBrokenPromises(
  raw: RawDatabase,
  { acknowledged, denseLog }: InvariantOptions,
): Promise<string[]> {
  const contents = await readContents(raw);
  const problems = [
    ...(await raw.integrityCheck()),
    ...findPartialCommits(contents),
    ...findLostAnswers(contents, acknowledged),
    ...(denseLog ? findGaps(contents.log) : []),
  ];
  const more = problems.length - shownProblems;
  return more > 0 ? [...problems.slice(0, shownProblems), `and ${more} more`] : problems;
}

/** Jobs that have not completed, with what is known about why. */
export async function findUnfinishedJobs(raw: RawDatabase): Promise<string[]> {
  const rows = await raw.all(
    `select id, state, attempt, last_error from forge_jobs where state <> ${completedState}`,
  );
  return rows.map((row) => {
    return `job ${String(row["id"])} is in state ${String(row["state"])} after attempt ${String(row["attempt"])}: ${String(row["last_error"])}`;
  });
}

/** The project that a stored answer, event, job or Slack message is about. */
export function projectIdOf(content: unknown): string {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return /proj_\w+/.exec(text)?.[0] ?? `no project in ${text}`;
}

// One statement is one snapshot: a PostgreSQL may still be at work on what a dead server has sent.
const contentsText = `
  select 'project' as part, id as content, 0 as seq, '' as idempotency_key, 0 as status from projects
  union all select type, data, seq, '', 0 from forge_events
  union all select 'alert', payload, 0, '', 0 from forge_jobs where type = 'slack-alert'
  union all select 'answer', body, seq, idempotency_key, status from forge_idempotency`;
const eventPattern = /^\w+\.\w+$/;

async function readContents(raw: RawDatabase): Promise<Contents> {
  const rows = await raw.all(contentsText);
  function part(name: string): RawRow[] {
    return rows.filter((row) => row["part"] === name);
  }
  const events = rows.filter((row) => eventPattern.test(String(row["part"])));
  return {
    projects: new Set(part("project").map((row) => String(row["content"]))),
    log: events.map((row) => Number(row["seq"])).sort((a, b) => a - b),
    created: groupByProject(part("project.created"), (row) => Number(row["seq"])),
    alerts: groupByProject(part("alert"), (row) => row["content"]),
    answers: groupByProject(part("answer"), (row) => ({
      key: String(row["idempotency_key"]),
      status: Number(row["status"]),
      body: String(row["content"]),
      seq: Number(row["seq"]),
    })),
  };
}

function groupByProject<T>(
  rows: readonly RawRow[],
  toValue: (row: RawRow) => T,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const id = projectIdOf(row["content"]);
    const group = groups.get(id);
    if (group === undefined) groups.set(id, [toValue(row)]);
    else group.push(toValue(row));
  }
  return groups;
}

function findPartialCommits({ projects, created, alerts, answers }: Contents): string[] {
  const problems: string[] = [];
  const parts = { "project.created events": created, "alert jobs": alerts, answers };
  for (const [name, group] of Object.entries(parts)) {
    for (const id of projects) {
      const count = group.get(id)?.length ?? 0;
      if (count !== 1) problems.push(`${id} has ${count} ${name}`);
    }
    for (const id of group.keys()) {
      if (!projects.has(id)) problems.push(`${name} tell of ${id}, which does not exist`);
    }
  }
  for (const [id, [answer]] of answers) {
    const [seq] = created.get(id) ?? [];
    if (answer?.seq !== seq) problems.push(`${id}: answered seq ${answer?.seq}, event ${seq}`);
  }
  return problems;
}

function findLostAnswers(
  { projects, answers }: Contents,
  acknowledged: readonly AcknowledgedProject[],
): string[] {
  const recorded = new Map<string, AcknowledgedProject>();
  const problems: string[] = [];
  for (const answer of [...answers.values()].flat()) {
    if (recorded.has(answer.key)) problems.push(`two projects under the key ${answer.key}`);
    recorded.set(answer.key, answer);
  }
  for (const answer of acknowledged) {
    const kept = recorded.get(answer.key);
    if (kept === undefined) problems.push(`the answer under ${answer.key} is lost`);
    else if (
      kept.body !== answer.body ||
      kept.status !== answer.status ||
      kept.seq !== answer.seq
    ) {
      problems.push(`${answer.key}: answered ${describe(answer)}, recorded ${describe(kept)}`);
    }
    const id = projectIdOf(answer.body);
    if (!projects.has(id)) problems.push(`${id} was acknowledged and does not exist`);
  }
  return problems;
}

function findGaps(log: readonly number[]): string[] {
  const index = log.findIndex((seq, position) => seq !== position + 1);
  return index === -1 ? [] : [`event ${index + 1} of the log has seq ${log[index]}`];
}

function describe({ status, seq, body }: AcknowledgedProject): string {
  return `${status} at ${seq} ${body}`;
}
