const passedOn = ["PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SystemRoot"];

/**
 * The environment for a child process of a test: where programs and temporary files are, plus
 * `extra`. Nothing else is passed on, so that settings of the developer's shell (`PGHOST`,
 * `NODE_OPTIONS`, `DATABASE_URL`) or of the test runner cannot change a result. Times are UTC and
 * messages English, because some are matched.
 */
export function cleanEnvironment(
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const name of passedOn) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return { ...environment, ...extra };
}
