import { setImmediate as nextTurn } from "node:timers/promises";

/** Far beyond what any of it takes, so that only something that never happens reaches it. */
const deadlineMs = 10_000;

/**
 * Waits for something that this process does in its own time: asks once per turn of the event loop,
 * and never sleeps.
 * @throws Error that names `what` when it has not happened within 10 s.
 */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAt > deadlineMs) {
      throw new Error(`Still not after ${deadlineMs} ms: ${what}`);
    }
    await nextTurn();
  }
}

/** Lets `count` turns of the event loop pass, for checks that something does not happen. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}
