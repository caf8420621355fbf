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
  const failures = strayErrors.map((error) => describeFailure("outside any test", [error]));
  const skipped: string[] = [];
  for (const module of modules) {
    const file = module.relativeModuleId;
    for (const suite of [module, ...module.children.allSuites()]) {
      if (suite.errors().length === 0) continue;
      failed += 1;
      failures.push(describeFailure(file, suite.errors()));
    }
    for (const test of module.children.allTests()) {
      const name = `${file} > ${test.fullName}`;
      const { state, errors } = test.result();
      if (state === "passed") passed += 1;
      else if (state === "skipped") skipped.push(name);
      else {
        failed += 1;
        failures.push(describeFailure(name, errors ?? [{ message: "its worker was lost" }]));
      }
    }
  }
  return { passed, failed, failures, skipped };
}

function describeFailure(name: string, errors: readonly SerializedError[]): string {
  const [error] = errors;
  const text = [error?.message, error?.stack].filter(Boolean).join("\n");
  return `${name}\n${text.split("\n").slice(0, 12).join("\n")}`;
}
