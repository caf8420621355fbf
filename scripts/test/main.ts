import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { settle, summaryFileVariable, type TestSummary } from "./summary.ts";

// usage: node scripts/test/main.ts [arguments of `vitest run`]
// Runs vitest in a process of its own, so that the count is the last line whatever happens to it.

const vitest = join(
  dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
  "vitest.mjs",
);
const reporter = join(import.meta.dirname, "summary-reporter.ts");

async function runVitest(args: readonly string[], summaryFile: string): Promise<number | null> {
  const command = [vitest, "run", "--reporter=default", `--reporter=${reporter}`, ...args];
  const child = spawn(process.execPath, command, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, [summaryFileVariable]: summaryFile },
  });
  // The terminal sends Ctrl-C to both processes: this one stays to print the count.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  await once(child, "close");
  return child.exitCode;
}

/** What a run of all tests needs of the system; part of them may do without. */
function bringPrograms(): void {
  const program = join(import.meta.dirname, "../../packages/testing/src/bring-programs.ts");
  spawnSync(process.execPath, [program], { stdio: ["ignore", "inherit", "inherit"] });
}

function readSummary(file: string): TestSummary | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as TestSummary;
  } catch {
    return undefined;
  }
}

const folder = mkdtempSync(join(tmpdir(), "apiforge-test-"));
const summaryFile = join(folder, "summary.json");
const args = process.argv.slice(2);
if (args.length === 0) bringPrograms();
const exitCode = await runVitest(args, summaryFile);
const summary = settle(readSummary(summaryFile), exitCode);
rmSync(folder, { recursive: true });

for (const failure of summary.failures) console.log(`failed: ${failure}`);
for (const name of summary.skipped) console.log(`did not run: ${name}`);
console.log(`${summary.passed} passed, ${summary.failed} failed`);
if (summary.failed > 0) process.exitCode = 1;
