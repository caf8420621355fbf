import { conflict, type Transaction } from "apiforge";

import type { Member } from "./schema.ts";

/** A member to be added. */
export interface MemberInsert {
  readonly id: string;
  readonly tenant: string;
  readonly projectId: string;
  readonly email: string;
  readonly role: Member["role"];
  readonly addedBy: string;
  readonly nowMs: number;
}

/** Adds a member; 409 when the address is one already. */
export async function insertMember(tx: Transaction, row: MemberInsert): Promise<Member> {
  const added = await tx.sql<{ id: string }>`
    insert into project_members (tenant, project_id, id, email, role, added_by, created_at)
    values (${row.tenant}, ${row.projectId}, ${row.id}, ${row.email}, ${row.role}, ${row.addedBy}, ${row.nowMs})
    on conflict (tenant, project_id, email) do nothing
    returning id`;
  if (added.length === 0)
    throw conflict("member_exists", `${row.email} is a member of this project.`, "body.email");
  const { id, projectId, email, role, addedBy } = row;
  return { id, projectId, email, role, addedBy, createdAt: new Date(row.nowMs).toISOString() };
}
