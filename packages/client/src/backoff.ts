const initialMs = 250;
const maxMs = 10_000;

/**
 * Milliseconds to wait after `failures` failed attempts in a row (1 after the first): uniform in
 * (0, cap] with the caps 250 ms, 500 ms, 1 s … 10 s ("full jitter"), so that clients which failed
 * together do not come back together. `random` yields numbers in [0, 1).
 */
export function backoffMs(failures: number, random: () => number): number {
  const capMs = Math.min(maxMs, initialMs * 2 ** (failures - 1));
  return Math.ceil(capMs * (1 - random()));
}
