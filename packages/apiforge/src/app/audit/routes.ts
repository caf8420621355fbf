import { z } from "zod";

import { sql, type Reader } from "../../durable/index.ts";
import { defineRoute, listQuery, pageOf, type List } from "../../edge/index.ts";
import type { Row } from "../../store/index.ts";
import type { System } from "../system.ts";

const auditEntry = z.object({
  id: z.string(),
  action: z.string(),
  subject: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
  requestId: z.string(),
  createdAt: z.string(),
  /** The entry's place in the chain; null for a moment after its commit. */
  seal: z.object({ position: z.number(), hash: z.string() }).nullable(),
});

/**
 * The system that serves `GET /v1/audit` to admins: the audit entries of the caller's tenant, newest
 * first, in pages, by `action` and `subject`.
 */
export function auditLog(): System {
  return { routes: [listRoute] };
}

/** Where a page ended. */
interface AuditPosition {
  readonly [column: string]: number;
  readonly n: number;
}

interface AuditFilter {
  readonly limit: number;
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
}

const listRoute = defineRoute({
  method: "GET",
  path: "/v1/audit",
  summary: "List audit entries of the tenant, newest first",
  tags: ["audit"],
  roles: ["admin"],
  query: listQuery({ action: z.string().optional(), subject: z.string().optional() }),
  replies: { 200: pageOf(auditEntry) },
  handler: async ({ query, principal, tx, list }) => ({
    status: 200,
    body: await page(tx, principal.tenant, query, list),
  }),
});

async function page({ sql: run }: Reader, tenant: string, filter: AuditFilter, list: List) {
  const { limit, action, subject } = filter;
  const before = list.position<AuditPosition>();
  const rows = await run`
    select entry.*, seal.position, seal.hash
    from forge_audit entry left join forge_audit_seals seal on seal.n = entry.n
    where entry.tenant = ${tenant}
      ${before === undefined ? sql`` : sql`and entry.n < ${before.n}`}
      ${action === undefined ? sql`` : sql`and entry.action = ${action}`}
      ${subject === undefined ? sql`` : sql`and entry.subject = ${subject}`}
    order by entry.n desc limit ${limit + 1}`;
  const { data, ...rest } = list.page(rows, limit, (row) => ({ n: Number(row["n"]) }));
  return { ...rest, data: data.map(toReply) };
}

function toReply(row: Row): z.input<typeof auditEntry> {
  const { position, hash, subject } = row;
  return {
    id: String(row["id"]),
    action: String(row["action"]),
    subject: typeof subject === "string" ? subject : null,
    detail: JSON.parse(String(row["detail"])) as Record<string, unknown>,
    requestId: String(row["request_id"]),
    createdAt: new Date(Number(row["created_at"])).toISOString(),
    seal:
      hash instanceof Uint8Array
        ? { position: Number(position), hash: Buffer.from(hash).toString("hex") }
        : null,
  };
}
