import { toAuditEntry, toAuditSeal } from "../audit-chain.ts";
import type { AuditTransaction, NewAuditEntry } from "../audit-contract.ts";
import { command, type Command } from "./command.ts";
import type { ExecutionResult } from "./exchange.ts";
import { arraySource, columnArrays, rowsCommand, rowsStatement } from "./rows.ts";

type Send = (commands: readonly Command[]) => Promise<readonly ExecutionResult[]>;

const entryColumns = "id, tenant, subject, action, detail, request_id, created_at";
const append = rowsStatement(
  ["text", "text", "text", "text", "text", "text", "bigint"],
  (source) => `with entry as (
     insert into forge_audit (${entryColumns})
     select ${entryColumns} from ${source} as entry (${entryColumns}) returning n)
   insert into forge_audit_unsealed (n) select n from entry`,
);
const headText = "select position, n, hash from forge_audit_seals order by position desc limit 1";
const pendingText = `select entry.* from forge_audit_unsealed waiting
   join forge_audit entry on entry.n = waiting.n order by waiting.n limit $1`;
const sealTypes = ["bigint", "bigint", "bytea"];
const sealText = `insert into forge_audit_seals (position, n, hash)
   select position, n, hash from ${arraySource(sealTypes)} as seal (position, n, hash)`;
const releaseText = "delete from forge_audit_unsealed where n = any($1::bigint[])";

/** Appends entries, which wait for their seals. */
export function appendAudit(entries: readonly NewAuditEntry[]): Command {
  return rowsCommand(append, entries.map(toRow));
}

/** Seals entries by statements of one transaction. */
export function auditTransaction(send: Send): AuditTransaction {
  return {
    async pending(limit) {
      const [head, entries] = await send([command(headText), command(pendingText, limit)]);
      const last = head?.rows[0];
      return {
        head: last === undefined ? undefined : toAuditSeal(last),
        entries: (entries?.rows ?? []).map(toAuditEntry),
      };
    },
    async seal(seals) {
      const rows = seals.map(({ position, n, hash }) => [position, n, hash]);
      await send([
        command(sealText, ...columnArrays(sealTypes.length, rows)),
        command(
          releaseText,
          seals.map(({ n }) => n),
        ),
      ]);
    },
  };
}

function toRow(entry: NewAuditEntry): (string | number | null)[] {
  const { id, tenant, subject, action, detail, requestId, createdAt } = entry;
  return [id, tenant, subject, action, detail, requestId, createdAt];
}
