import { setImmediate as nextTurn } from "node:timers/promises";

import { reach } from "../../kernel/index.ts";
import type { Committed } from "../contract.ts";
import { command, type Command } from "./command.ts";
import type { PostgresConnection } from "./connection.ts";
import { groupSeqs, groupWrites } from "./group-writes.ts";
import { claimKeys, toKeyClaims } from "./idempotency.ts";
import { quickStatementMs } from "./lone-session.ts";
import type { Member } from "./member.ts";

/** Longest that one statement may hold up a group by its own work. */
const statementLimitMs = 500;
const beginCommands = [
  command("begin"),
  command(
    "select set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)",
    String(quickStatementMs),
    String(statementLimitMs),
  ),
];

/** What a group's end means to one of its members. */
export type Fate =
  | { readonly outcome: "committed"; readonly committed: Committed<unknown> }
  | { readonly outcome: "failed"; readonly error: unknown };

/** How a group ended. */
export interface GroupEnd {
  /** Of whom it decided; nothing of the other members is committed. */
  readonly fates: ReadonlyMap<Member, Fate>;
  /** True when nothing was committed though something was asked. */
  readonly dissolved: boolean;
  /** Members that kept the others waiting or spoilt their transaction. */
  readonly unfit: readonly Member[];
}

/**
 * Runs `members` in one transaction: what they ask within a turn of the event loop leaves in one
 * packet, each executes at most one statement, so that none comes between two of another, and one
 * commit writes what all put into it. Who does something else with his time goes on alone. When any
 * statement or the commit fails, or a handler throws after its statement, everything is undone.
 */
export async function runGroup(
  connection: PostgresConnection,
  members: readonly Member[],
): Promise<GroupEnd> {
  let begin: readonly Command[] = beginCommands;
  try {
    for (;;) {
      const asking = await nextAsking(members);
      if (asking.length === 0) break;
      await exchange(connection, asking, begin);
      begin = [];
    }
  } catch (error) {
    return dissolve(connection, members, error);
  }
  if (members.some((member) => member.spoils)) return dissolve(connection, members);
  return commitGroup(connection, members, begin);
}

/** Gives the handlers one turn of the event loop; answers who then waits for the group. */
async function nextAsking(members: readonly Member[]): Promise<readonly Member[]> {
  await nextTurn();
  for (const member of members) if (member.strays) member.seat.leave();
  if (members.some((member) => member.spoils)) return [];
  return members.filter((member) => member.asks);
}

/** Sends what `asking` wait for and gives them the answers. */
async function exchange(
  connection: PostgresConnection,
  asking: readonly Member[],
  begin: readonly Command[],
): Promise<void> {
  const seats = asking.map((member) => member.seat);
  const claims = seats.flatMap((seat) =>
    seat.ask?.kind === "claim" ? [{ seat, digest: seat.ask.digest }] : [],
  );
  const statements = seats.flatMap((seat) =>
    seat.ask?.kind === "statement" ? [{ seat, ask: seat.ask }] : [],
  );
  const digests = claims.map(({ digest }) => digest);
  const claiming = digests.length === 0 ? [] : claimKeys(digests);
  const queries = statements.flatMap(({ ask }) => [...ask.before, ask.command]);
  const results = await connection.send([...begin, ...claiming, ...queries]);
  const answers = results.slice(begin.length);
  const outcomes = toKeyClaims(digests, answers);
  claims.forEach(({ seat }, index) => {
    const outcome = outcomes[index];
    if (outcome !== undefined) seat.answerClaim(outcome);
  });
  let position = claiming.length;
  for (const { seat, ask } of statements) {
    position += ask.before.length;
    const result = answers[position++];
    if (result !== undefined) seat.answerStatement(result);
  }
}

async function commitGroup(
  connection: PostgresConnection,
  members: readonly Member[],
  begin: readonly Command[],
): Promise<GroupEnd> {
  const unfit = members.filter((member) => member.strays);
  const staying = members.flatMap((member) =>
    !member.strays && member.ended?.outcome === "returned"
      ? [{ member, value: member.ended.value, effects: member.tx.effects }]
      : [],
  );
  if (staying.length === 0) {
    if (begin.length === 0) await rollback(connection);
    return { fates: new Map(), dissolved: false, unfit };
  }
  const effects = staying.map((one) => one.effects);
  try {
    reach("before-commit");
    const commands = [...begin, ...groupWrites(effects), command("commit")];
    const results = await connection.commit(commands);
    reach("after-commit");
    const seqs = groupSeqs(effects, results);
    const fates = staying.map(({ member, value }, index): [Member, Fate] => [
      member,
      { outcome: "committed", committed: { value, seq: seqs[index] ?? 0 } },
    ]);
    return { fates: new Map(fates), dissolved: false, unfit };
  } catch (error) {
    return dissolve(
      connection,
      staying.map((one) => one.member),
      error,
    );
  }
}

/** Undoes everything; `concerned` fail with the connection, where that is lost. */
async function dissolve(
  connection: PostgresConnection,
  concerned: readonly Member[],
  error?: unknown,
): Promise<GroupEnd> {
  const unfit = concerned.filter((member) => member.spoils);
  if (connection.lost) {
    const fates = concerned.map((member): [Member, Fate] => [member, { outcome: "failed", error }]);
    return { fates: new Map(fates), dissolved: true, unfit };
  }
  await rollback(connection);
  return { fates: new Map(), dissolved: true, unfit };
}

async function rollback(connection: PostgresConnection): Promise<void> {
  await connection.send([command("rollback")]).catch(() => connection.destroy());
}
