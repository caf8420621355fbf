import { writeFileSync } from "node:fs";
import type { SerializedError } from "vitest";
import type { Reporter, TestModule } from "vitest/node";
import { summaryFileVariable, type TestSummary } from "./summary.ts";

/** Writes a {@link TestSummary} as JSON to the file that `APIFORGE_TEST_SUMMARY` names. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], strayErrors: readonly SerializedError[]): void {
    const file = process.env[summaryFileVariable];
    if (file !== undefined) writeFileSync(file, JSON.stringify(summarize(modules, strayErrors)));
  }
}

function summarize(
  modules: readonly TestModule[],
  strayErrors: readonly SerializedError[],
): TestSummary {
  let passed = 0;
  let failed = strayErrors.length;
  const skipped: string[] = [];
  for (const module of modules) {
    for (const suite of [module, ...module.children.allSuites()]) {
      if (suite.errors().length > 0) failed += 1;
    }
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") passed += 1;
      else if (state === "skipped") skipped.push(`${module.relativeModuleId} > ${test.fullName}`);
      // A test that is still pending lost its worker.
      else failed += 1;
    }
  }
  return { passed, failed, skipped };
}
