import { appendAudit } from "./audit.ts";
import { command, type Command } from "./command.ts";
import { saveConsumer } from "./consumers.ts";
import { appendFrom, eventTypes, headText, toEventRow } from "./events.ts";
import type { ExecutionResult } from "./exchange.ts";
import { answerColumns, answerTypes, toAnswerRow } from "./idempotency.ts";
import { insertJobs } from "./job-statements.ts";
import { LaneChanges } from "./lanes.ts";
import { arraySource, columnArrays } from "./rows.ts";
import type { UnitEffects } from "./transaction.ts";

const eventSource = arraySource(eventTypes);
const answerSource = arraySource([...answerTypes, "text"], eventTypes.length + 1);
// An answer's seq is that of its unit's last event, which is known only here. One plan for both
// costs less than a round trip between them, in which the log's lock would be held.
const publishText = `with head as materialized (${headText}),
   event as (${appendFrom(eventSource)} returning seq, id),
   answer as (
     insert into forge_idempotency (${answerColumns}, seq, created_at)
     select ${answerColumns}, coalesce(event.seq, head.seq), forge_now()
     from head cross join ${answerSource} as answer (${answerColumns}, last_event)
     left join event on event.id = answer.last_event)
   select seq from event union all select seq from head`;

/** Writes what the units of a group put into their commit. The log is locked from here to the commit, so that comes last. */
export function groupWrites(units: readonly UnitEffects[]): readonly Command[] {
  const cursors = units.flatMap((unit) => [...unit.cursors]);
  const jobs = units.flatMap((unit) => unit.jobs);
  const audit = units.flatMap((unit) => unit.audit);
  // One statement changes a row once, so what the units change in one lane is put together.
  const lanes = new LaneChanges();
  for (const job of jobs) lanes.enter(job);
  return [
    ...cursors.map(([name, cursor]) => saveConsumer(name, cursor)),
    ...(audit.length === 0 ? [] : [appendAudit(audit)]),
    ...insertJobs(jobs),
    ...lanes.commands(),
    publish(units),
  ];
}

/** The log position that each of `units` has to report, by the results of {@link groupWrites} and COMMIT. */
export function groupSeqs(
  units: readonly UnitEffects[],
  results: readonly ExecutionResult[],
): readonly number[] {
  const rows = results.at(-2)?.rows ?? [];
  const head = Number(rows.at(-1)?.["seq"] ?? 0);
  let appended = 0;
  return units.map(({ events }) => {
    appended += events.length;
    return events.length === 0 ? head : Number(rows[appended - 1]?.["seq"] ?? head);
  });
}

function publish(units: readonly UnitEffects[]): Command {
  const events = units.flatMap((unit) => unit.events.map(toEventRow));
  const answers = units.flatMap((unit) =>
    unit.record === undefined
      ? []
      : [[...toAnswerRow(unit.record), unit.events.at(-1)?.id ?? null]],
  );
  return command(
    publishText,
    ...columnArrays(eventTypes.length, events),
    ...columnArrays(answerTypes.length + 1, answers),
  );
}
