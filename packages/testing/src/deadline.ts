/**
 * Waits for `work`, at most `deadlineMs`. A test that waits for something outside its process uses
 * this so that an event that never comes is a failure that says so, not a hang.
 * @throws Error with `describe()` when the deadline passes first.
 */
export async function withinDeadline<T>(
  work: Promise<T>,
  deadlineMs: number,
  describe: () => string,
): Promise<T> {
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`${describe()} (waited ${deadlineMs} ms)`));
  }, deadlineMs);
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}
