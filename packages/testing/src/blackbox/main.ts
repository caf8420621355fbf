import { readFileSync } from "node:fs";
import { z } from "zod";

import { runChecks, type Check } from "./check.ts";
import { gatewayChecks, type GatewayInput } from "./gateway.ts";

// Asks the gateway that a file describes (docs/reference/blackbox.md). Exit code 0: every check passed;
// 1: one failed; 2: nothing was asked.

const usage =
  "usage: node --conditions=@apiforge/source packages/testing/src/blackbox/main.ts GATEWAY.json";

function describedChecks(file: string | undefined): readonly Check[] {
  if (file === undefined) throw new Error(usage);
  const described: unknown = JSON.parse(readFileSync(file, "utf8"));
  const checks = gatewayChecks(described as GatewayInput);
  if (checks.length === 0) throw new Error(`${file} describes no suite`);
  return checks;
}

function messageOf(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  return error instanceof Error ? error.message : String(error);
}

/** Of an assertion the sentence, without what Node.js adds below it; a gateway's text in one line. */
function oneLine(failure: string): string {
  const [sentence = ""] = failure.split(/\n\n/);
  return sentence.replaceAll(/[\s\p{C}]+/gu, " ");
}

async function run(checks: readonly Check[]): Promise<number> {
  const outcomes = await runChecks(checks);
  for (const { name, failure } of outcomes) {
    const line =
      failure === undefined ? `ok      ${name}` : `FAILED  ${name}\n        ${oneLine(failure)}`;
    console.log(line);
  }
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  console.log(`${outcomes.length - failed.length} of ${outcomes.length}`);
  return failed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await run(describedChecks(process.argv[2]));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 2;
}
