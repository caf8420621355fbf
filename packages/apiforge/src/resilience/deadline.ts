import type { Clock } from "../kernel/index.ts";

/** A time limit on a piece of work. Dispose it when the work ends, so that no timer is left. */
export interface Deadline extends Disposable {
  /** Aborts when the time is up or the parent signal aborts, with the parent's reason then. */
  readonly signal: AbortSignal;
  /** True once the time is up; false when the parent's abort came first. */
  readonly expired: boolean;
}

/**
 * Starts a limit of `timeoutMs`. The reason of an abort by time is a `TimeoutError`
 * {@link DOMException}, as that of `AbortSignal.timeout`, which cannot be disposed and takes no
 * clock.
 */
export function startDeadline(clock: Clock, timeoutMs: number, parent?: AbortSignal): Deadline {
  const controller = new AbortController();
  let expired = false;
  const timer = clock.after(timeoutMs, () => {
    expired = !controller.signal.aborted;
    controller.abort(new DOMException(`Not done within ${timeoutMs} ms`, "TimeoutError"));
  });
  const followParent = () => controller.abort(parent?.reason);
  if (parent?.aborted === true) followParent();
  parent?.addEventListener("abort", followParent, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    [Symbol.dispose]() {
      timer.cancel();
      parent?.removeEventListener("abort", followParent);
    },
  };
}
