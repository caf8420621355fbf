import fc from "fast-check";

/**
 * Options of a property or model check: `APIFORGE_FUZZ_RUNS` sets the runs, for longer ones in CI,
 * `APIFORGE_FUZZ_SEED` begins with the seed that a failure has printed.
 */
export function fuzzOptions(usualRuns: number): {
  readonly numRuns: number;
  readonly seed?: number;
} {
  const runs = Number(process.env["APIFORGE_FUZZ_RUNS"]);
  const seed = Number(process.env["APIFORGE_FUZZ_SEED"] ?? "");
  const numRuns = Number.isInteger(runs) && runs > 0 ? runs : usualRuns;
  return { numRuns, ...(seed === 0 ? {} : { seed }) };
}

/**
 * Runs the command lists of `commands` against a model and the real thing. A failure prints the
 * seed, the path and the shortest list that still fails.
 * @param begin makes the model and an empty system for one list.
 */
export async function checkCommands<Model extends object, Real>(
  commands: readonly fc.Arbitrary<fc.AsyncCommand<Model, Real>>[],
  begin: () => Promise<{ model: Model; real: Real }>,
  runs: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.commands([...commands], { maxCommands: 50, size: "max" }), async (list) => {
      await fc.asyncModelRun(begin, list);
    }),
    fuzzOptions(runs),
  );
}
