import { parseArgs } from "node:util";

import { readConfig, verifyAuditLog, type AuditReport } from "../app/index.ts";
import { silentLog } from "../kernel/index.ts";

const usage = `Usage: npm run -s audit -- verify [--anchor 1204:9f86d0…]

Goes through the chain of the audit log in the store that the environment names (APIFORGE_DATA_DIR or
DATABASE_URL), beside a running server or without one, and names the first place where it is broken.
Exit code 0: intact; 1: broken; 2: not verified.
--anchor is an end of the chain that an earlier run printed or the server logged, kept elsewhere: with
it, a chain that was cut off or written anew is found too.`;

type AuditFault = Extract<AuditReport, { readonly intact: false }>["fault"];

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

function describe(report: AuditReport): string {
  if (!report.intact) return `audit log BROKEN: ${describeFault(report.fault)}`;
  const { sealed, unsealed, anchor } = report;
  const counts = `audit log intact: ${sealed} entries sealed, ${unsealed} waiting for their seal`;
  return anchor === undefined ? counts : `${counts}\nanchor ${anchor.position}:${anchor.hash}`;
}

function describeFault(fault: AuditFault): string {
  switch (fault.kind) {
    case "altered":
      return `entry ${fault.id} (row ${fault.n}) at position ${fault.position} is not what was sealed there`;
    case "entry_missing":
      return `the entry of row ${fault.n}, sealed at position ${fault.position}, is gone`;
    case "seal_missing":
      return `the seal at position ${fault.position} is gone`;
    case "never_sealed":
      return `entry ${fault.id} (row ${fault.n}) has no seal and waits for none`;
    case "cut_off":
      return `the chain ends at position ${fault.position}; it once went to ${fault.sealed}`;
    case "anchor_mismatch":
      return `the chain was written anew: position ${fault.position} has not the anchor's hash`;
  }
}

try {
  const anchor = readArguments(process.argv.slice(2));
  const report = await verifyAuditLog(readConfig(), anchor, silentLog);
  console.log(describe(report));
  process.exitCode = report.intact ? 0 : 1;
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  process.exitCode = 2;
}
