import type { CrashPoint } from "apiforge/internal/kernel";

/** Name of the environment variable that tells the child where to pause. */
export const crashPointVariable = "APIFORGE_CRASH_POINT";

/** Where a server process pauses: at the `nth` time (default 1) that it reaches `point` since it serves. */
export interface PausePoint {
  readonly point: CrashPoint;
  readonly nth?: number;
}

/** `point` or `point:n`, the value of {@link crashPointVariable}. */
export function formatPausePoint({ point, nth }: PausePoint): string {
  return nth === undefined ? point : `${point}:${nth}`;
}

/**
 * Reads what {@link formatPausePoint} wrote. Whether the point exists is for the compiler to say.
 * @throws Error when the number is not a positive integer.
 */
export function parsePausePoint(text: string): { readonly point: string; readonly nth: number } {
  const [point = "", count = "1"] = text.split(":");
  const nth = Number(count);
  if (point === "" || !Number.isInteger(nth) || nth < 1) {
    throw new Error(`${crashPointVariable}=${text} is not <point> or <point>:<n>, n from 1`);
  }
  return { point, nth };
}

/** The line that a process prints to stdout when it is paused. */
export function pausedLine(point: string): string {
  return `APIForge paused at ${point}`;
}

/**
 * Tells a process that it serves, and that points count from now on: what a server commits while it
 * starts (its first signing key) is not what a test wants to stop at. It answers with {@link armedLine}.
 */
export const armSignal = "SIGUSR2";

/** The line that a process prints to stdout when points count. */
export const armedLine = "APIForge pauses from now on";
