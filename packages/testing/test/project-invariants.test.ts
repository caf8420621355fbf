import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  findBrokenPromises,
  findUnfinishedJobs,
  openRaw,
  type AcknowledgedProject,
} from "../src/index.ts";

// The columns that the invariants read, filled as two requests leave them.
const schema = `
  create table projects (id text);
  create table forge_events (seq integer, type text, data text);
  create table forge_jobs (id text, type text, payload text, state integer, attempt integer, last_error text);
  create table forge_idempotency (idempotency_key text, status integer, body text, seq integer);
  insert into projects values ('proj_1'), ('proj_2');
  insert into forge_events values
    (1, 'project.created', '{"project":{"id":"proj_1"}}'),
    (2, 'project.created', '{"project":{"id":"proj_2"}}');
  insert into forge_jobs values
    ('job_1', 'slack-alert', '{"project":{"id":"proj_1"}}', 3, 1, null),
    ('job_2', 'slack-alert', '{"project":{"id":"proj_2"}}', 3, 1, null);
  insert into forge_idempotency values
    ('one', 201, '{"data":{"id":"proj_1"}}', 1), ('two', 201, '{"data":{"id":"proj_2"}}', 2);
`;

const acknowledged: readonly AcknowledgedProject[] = [
  { key: "one", status: 201, body: '{"data":{"id":"proj_1"}}', seq: 1 },
  { key: "two", status: 201, body: '{"data":{"id":"proj_2"}}', seq: 2 },
];

let folder: string;
let files = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "apiforge-invariants-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function databaseWith(damage: string): string {
  files += 1;
  const path = join(folder, `${files}.sqlite`);
  const database = new DatabaseSync(path);
  database.exec(schema);
  database.exec(damage);
  database.close();
  return path;
}

async function problems(damage: string): Promise<string[]> {
  await using raw = await openRaw(databaseWith(damage));
  return await findBrokenPromises(raw, { acknowledged, denseLog: true });
}

test("a sound database has no broken promise and no unfinished job", async () => {
  expect(await problems("")).toEqual([]);
  await using raw = await openRaw(databaseWith(""));
  expect(await findUnfinishedJobs(raw)).toEqual([]);
});

describe("finds", () => {
  test.for([
    ["delete from projects where id = 'proj_1'", "proj_1 was acknowledged and does not exist"],
    ["delete from projects where id = 'proj_1'", "alert jobs tell of proj_1, which does not exist"],
    ["delete from forge_jobs where id = 'job_1'", "proj_1 has 0 alert jobs"],
    [
      "insert into forge_jobs select * from forge_jobs where id = 'job_1'",
      "proj_1 has 2 alert jobs",
    ],
    ["delete from forge_events where seq = 2", "proj_2 has 0 project.created events"],
    ["delete from forge_idempotency where seq = 1", "the answer under one is lost"],
    ["delete from forge_idempotency where seq = 1", "proj_1 has 0 answers"],
    ["update forge_idempotency set status = 200 where seq = 1", "one: answered 201 at 1"],
    ["update forge_idempotency set body = body || ' ' where seq = 1", "one: answered 201 at 1"],
    ["update forge_idempotency set seq = 7 where seq = 1", "proj_1: answered seq 7, event 1"],
    ["update forge_idempotency set idempotency_key = 'one'", "two projects under the key one"],
    ["update forge_events set seq = 3 where seq = 2", "event 2 of the log has seq 3"],
    [
      "insert into projects values ('proj_3'); insert into forge_jobs values ('job_3', 'slack-alert', '{\"id\":\"proj_3\"}', 1, 0, null)",
      "proj_3 has 0 answers",
    ],
  ] as const)("%s: %s", async ([damage, problem]) => {
    expect((await problems(damage)).join("\n")).toContain(problem);
  });

  test("jobs that have not completed", async () => {
    const path = databaseWith(
      "update forge_jobs set state = 4, attempt = 3, last_error = 'Slack 503'",
    );
    await using raw = await openRaw(path);
    expect(await findUnfinishedJobs(raw)).toEqual([
      "job job_1 is in state 4 after attempt 3: Slack 503",
      "job job_2 is in state 4 after attempt 3: Slack 503",
    ]);
  });
});
