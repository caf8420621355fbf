import fc from "fast-check";

/** Runs of each model-based and fuzzing test; `APIFORGE_FUZZ_RUNS` sets it, for longer runs in CI. */
function fuzzRuns(usual: number): number {
  const given = Number(process.env["APIFORGE_FUZZ_RUNS"]);
  return Number.isInteger(given) && given > 0 ? given : usual;
}

/**
 * Runs the command lists of `commands` against a model and the real thing. A failure prints the
 * seed, the path and the shortest list that still fails; `APIFORGE_FUZZ_SEED` begins with that seed.
 * @param begin makes the model and an empty system for one list.
 */
export async function checkCommands<Model extends object, Real>(
  commands: readonly fc.Arbitrary<fc.AsyncCommand<Model, Real>>[],
  begin: () => Promise<{ model: Model; real: Real }>,
  runs: number,
): Promise<void> {
  const seed = Number(process.env["APIFORGE_FUZZ_SEED"] ?? "");
  await fc.assert(
    fc.asyncProperty(fc.commands([...commands], { maxCommands: 50, size: "max" }), async (list) => {
      await fc.asyncModelRun(begin, list);
    }),
    { numRuns: fuzzRuns(runs), ...(seed === 0 ? {} : { seed }) },
  );
}
