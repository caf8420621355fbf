import type { ApiForgeError, Clock, Log } from "../../kernel/index.ts";
import { storeError } from "../errors.ts";

/** How long the work of one transaction may take. */
export interface TimeLimit {
  readonly clock: Clock;
  readonly log: Log;
  readonly transactionLimitMs: number;
}

/** Names the work that took too long in the log; answers what its caller is told. */
export function cutOff({ log, transactionLimitMs }: TimeLimit, label: string): ApiForgeError {
  log.error(
    { label, transactionLimitMs },
    "transaction cut off: it held the database for too long",
  );
  return storeError(
    "transaction_timeout",
    `The transaction took longer than ${transactionLimitMs} ms and was rolled back. Move slow or external work into a job.`,
  );
}

/**
 * Runs `work`; when it does not settle in time, calls `onCut`, which makes its transaction
 * unusable, and fails whatever `work` does later.
 * @throws {transaction_timeout} when time ran out.
 */
export function withinLimit<T>(
  limit: TimeLimit,
  label: string,
  work: () => Promise<T>,
  onCut: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = limit.clock.after(limit.transactionLimitMs, () => {
      onCut();
      reject(cutOff(limit, label));
    });
    try {
      work()
        .then(resolve, reject)
        .finally(() => timer.cancel());
    } catch (error) {
      // It threw before it returned a promise.
      timer.cancel();
      throw error;
    }
  });
}
