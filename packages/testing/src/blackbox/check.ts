/** One thing that a gateway must do, asked from outside. */
export interface Check {
  readonly name: string;
  /** @throws {AssertionError} saying what the gateway did instead. */
  run(): Promise<void>;
}

/** What became of a check. */
export interface Outcome {
  readonly name: string;
  /** What was wrong; undefined when nothing was. */
  readonly failure: string | undefined;
}

/** Runs `checks` one after the other: some of them use up what the next would be given. */
export async function runChecks(checks: readonly Check[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const check of checks) outcomes.push(await runCheck(check));
  return outcomes;
}

async function runCheck({ name, run }: Check): Promise<Outcome> {
  try {
    await run();
    return { name, failure: undefined };
  } catch (error) {
    return { name, failure: error instanceof Error ? error.message : String(error) };
  }
}
