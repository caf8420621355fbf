import { setTimeout as delay } from "node:timers/promises";

const askAgainMs = 20;

/**
 * Waits for something that another process does in its own time.
 * @throws Error that names `what` when it does not hold within `deadlineMs` (default 20 s).
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const startedAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAt > deadlineMs) {
      throw new Error(`Still not after ${deadlineMs} ms: ${what}`);
    }
    await delay(askAgainMs);
  }
}
