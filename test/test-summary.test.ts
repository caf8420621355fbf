import { describe, expect, test } from "vitest";
import { settle } from "../scripts/test/summary.ts";
import { plantFiles, runIn } from "./gates/planted-tree.ts";

const passing =
  'import { expect, test } from "vitest";\ntest("adds", () => {\n  expect(2).toBe(2);\n});\n';
const failing = passing.replace("toBe(2)", "toBe(3)");

/** Runs `npm test`'s program on a tree of its own and returns its last line and exit code. */
function runTests(files: Readonly<Record<string, string>>) {
  using tree = plantFiles({ "vitest.config.mjs": "export default {};\n", ...files });
  const { exitCode, stdout } = runIn(tree.root, "scripts/test/main.ts", "--root", tree.root);
  return { exitCode, lastLine: stdout.trimEnd().split("\n").at(-1) };
}

describe("the last line of a test run", () => {
  test.each<[what: string, files: Record<string, string>, lastLine: string, exitCode: number]>([
    ["all is well", { "a.test.mjs": passing }, "1 passed, 0 failed", 0],
    ["a test fails", { "a.test.mjs": passing, "b.test.mjs": failing }, "1 passed, 1 failed", 1],
    [
      "a file does not load",
      { "a.test.mjs": passing, "b.test.mjs": 'import "./nowhere.mjs";\n' },
      "1 passed, 1 failed",
      1,
    ],
    [
      "a hook fails after the tests",
      {
        "a.test.mjs": `import { afterAll } from "vitest";\n${passing}afterAll(() => {\n  throw new Error("no");\n});\n`,
      },
      "1 passed, 1 failed",
      1,
    ],
    [
      "an error strays out of a test that passed",
      {
        "a.test.mjs": `${passing}setTimeout(() => {\n  throw new Error("stray");\n}, 0);\nawait new Promise((done) => setTimeout(done, 50));\n`,
      },
      "1 passed, 1 failed",
      1,
    ],
    [
      "the global setup throws",
      {
        "vitest.config.mjs": 'export default { test: { globalSetup: "./setup.mjs" } };\n',
        "setup.mjs": 'export default function setup() {\n  throw new Error("no database");\n}\n',
        "a.test.mjs": passing,
      },
      "0 passed, 1 failed",
      1,
    ],
    ["there is no test", {}, "0 passed, 1 failed", 1],
  ])("when %s", (_what, files, lastLine, exitCode) => {
    expect(runTests(files)).toEqual({ lastLine, exitCode });
  });

  test("is preceded by what failed and why", () => {
    using tree = plantFiles({
      "vitest.config.mjs": "export default {};\n",
      "a.test.mjs": failing,
    });

    const { stdout } = runIn(tree.root, "scripts/test/main.ts", "--root", tree.root);

    const lines = stdout.trimEnd().split("\n");
    const at = lines.lastIndexOf("failed: a.test.mjs > adds");
    expect(lines[at + 1]).toContain("expected 2 to be 3");
  });

  test("counts a run that was killed as a failure", () => {
    expect(settle(undefined, null)).toEqual({
      passed: 0,
      failed: 1,
      failures: [],
      skipped: [],
    });
  });
});
