import type { ConsumerState } from "../contract.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";

const floor = "(select seq from forge_event_floor)";
const lockText = `select cursor, ${floor} as floor from forge_consumers where name = $1
   for update skip locked`;
const findText = "select 1 from forge_consumers where name = $1";
const addText = `insert into forge_consumers (name, cursor) values ($1, ${floor})
   on conflict (name) do nothing returning cursor, ${floor} as floor`;
const saveText = "update forge_consumers set cursor = $2 where name = $1";

/** Locks a consumer's row; answers nothing when there is none, or another transaction has it. */
export function lockConsumer(name: string): Command {
  return command(lockText, name);
}

/** Asks whether a consumer's row exists, locked or not. */
export function findConsumer(name: string): Command {
  return command(findText, name);
}

/** Adds a consumer at the beginning of what is kept of the log, locked; answers nothing when another was first. */
export function addConsumer(name: string): Command {
  return command(addText, name);
}

/** Moves a locked consumer's cursor. */
export function saveConsumer(name: string, cursor: number): Command {
  return command(saveText, name, cursor);
}

/** The row that {@link lockConsumer} or {@link addConsumer} answered. */
export function toConsumerState(result: ExecutionResult | undefined): ConsumerState | undefined {
  const row = result?.rows[0];
  if (row === undefined) return undefined;
  return { cursor: Number(row["cursor"]), floor: Number(row["floor"]) };
}
