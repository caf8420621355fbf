import { engines } from "./engines/index.ts";
import { measureEngine } from "./measure-engine.ts";
import type { Assignment } from "./measurement.ts";

/*
 * One engine in a process of its own: takes an assignment from its parent, answers and ends.
 */
process.once("message", (assignment: Assignment) => void answer(assignment));

async function answer(assignment: Assignment): Promise<void> {
  const open = engines.get(assignment.engine);
  if (open === undefined) throw new Error(`There is no engine ${assignment.engine}.`);
  process.send?.(await measureEngine(open, assignment), () => process.exit());
}
