import type { AuditReport } from "../app/index.ts";

type AuditFault = Extract<AuditReport, { readonly intact: false }>["fault"];

/** What a verification found, for people. Texts of a database that somebody altered write no lines of their own. */
export function describeReport(report: AuditReport): string {
  if (!report.intact) return `audit log BROKEN: ${describeFault(report.fault)}`;
  const { sealed, unsealed, anchor } = report;
  const counts = `audit log intact: ${sealed} ${sealed === 1 ? "entry" : "entries"} sealed, ${unsealed} waiting for their seal`;
  return anchor === undefined ? counts : `${counts}\nanchor ${anchor.position}:${anchor.hash}`;
}

function describeFault(fault: AuditFault): string {
  switch (fault.kind) {
    case "altered":
      return `entry ${printable(fault.id)} (row ${fault.n}) at position ${fault.position} is not what was sealed there`;
    case "entry_missing":
      return `the entry of row ${fault.n}, sealed at position ${fault.position}, is gone`;
    case "seal_missing":
      return `the seal at position ${fault.position} is gone`;
    case "never_sealed":
      return `entry ${printable(fault.id)} (row ${fault.n}) has no seal and waits for none`;
    case "cut_off":
      return `the chain ends at position ${fault.position}; it once went to ${fault.sealed}`;
    case "anchor_mismatch":
      return `the chain was written anew: position ${fault.position} has not the anchor's hash`;
  }
}

function printable(id: string): string {
  if (/^[\w-]{1,64}$/.test(id)) return id;
  const escaped = (unit: string): string =>
    `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(id.slice(0, 64)).replaceAll(/[^\x20-\x7e]/g, escaped);
}
