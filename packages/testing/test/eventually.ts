import { setTimeout as delay } from "node:timers/promises";

/** Waits until `holds` is true, for what another process does in its own time. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>) {
  for (let attempt = 0; attempt < 1_000; attempt += 1) {
    if (await holds()) return;
    await delay(20);
  }
  throw new Error(`Still not: ${what}`);
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
