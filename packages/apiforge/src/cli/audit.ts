import { parseArgs } from "node:util";

import { readConfig, verifyAuditLog } from "../app/index.ts";
import { ApiForgeError, silentLog } from "../kernel/index.ts";
import { describeReport } from "./audit-report.ts";

const usage = `Usage: npm run -s audit -- verify [--anchor 1204:9f86d0…]

Goes through the chain of the audit log in the store that the environment names (APIFORGE_DATA_DIR or
DATABASE_URL), beside a running server or without one, and names the first place where it is broken.
Exit code 0: intact; 1: broken; 2: not verified.
--anchor is an end of the chain that an earlier run printed or the server logged, kept elsewhere: with
it, a chain that was cut off or written anew is found too.`;

function readArguments(args: readonly string[]): string | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { anchor: { type: "string" } },
    allowPositionals: true,
  });
  if (positionals.length !== 1 || positionals[0] !== "verify")
    throw new Error("The one command is verify");
  return values.anchor;
}

try {
  const anchor = readArguments(process.argv.slice(2));
  const report = await verifyAuditLog(readConfig(), anchor, silentLog);
  console.log(describeReport(report));
  process.exitCode = report.intact ? 0 : 1;
} catch (error) {
  const message = error instanceof Error ? error.message : String(error);
  // What is wrong with the store is not in how the command was written.
  console.error(ApiForgeError.is(error) ? message : `${message}\n\n${usage}`);
  process.exitCode = 2;
}
