/** What became of a test run. */
export interface TestSummary {
  readonly passed: number;
  /** Failed tests, and whatever else went wrong: a file that did not load, a hook, a stray error. */
  readonly failed: number;
  /** What failed, each as the test's full name and the first lines of its error. */
  readonly failures: readonly string[];
  /** Full names of tests that did not run. */
  readonly skipped: readonly string[];
}

/** Environment variable that tells the reporter which file to write its {@link TestSummary} to. */
export const summaryFileVariable = "APIFORGE_TEST_SUMMARY";

/**
 * The summary as vitest's exit code leaves it. A run that ended badly without saying why (the global
 * setup threw, the runner was killed) counts as one failure, so that the last line can never look
 * better than the run was.
 */
export function settle(summary: TestSummary | undefined, exitCode: number | null): TestSummary {
  const { passed, failed, failures, skipped } = summary ?? {
    passed: 0,
    failed: 1,
    failures: [],
    skipped: [],
  };
  return { passed, failed: exitCode === 0 ? failed : Math.max(1, failed), failures, skipped };
}
