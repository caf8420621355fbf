/**
 * Named points of the program that a test can stop at. In production no listener is set and
 * reaching a point is one property read.
 *
 * The points are the crash suite's: a handler may wait (the process is then killed inside it).
 */
export type CrashPoint =
  | "after-accept"
  | "after-tick"
  | "before-commit"
  | "after-commit"
  | "after-claim"
  | "mid-handler"
  | "before-ack"
  | "upstream-answered"
  | "upstream-recorded";

type PointListener = (point: CrashPoint) => void;

let listener: PointListener | undefined;

/** Sets the listener of every point, or removes it. Only crash tests call this. */
export function onPoint(next: PointListener | undefined): void {
  listener = next;
}

/** Marks that the program is at `point`. A listener runs synchronously, before the next statement. */
export function reach(point: CrashPoint): void {
  listener?.(point);
}
