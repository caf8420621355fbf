// A server whose notes are in the audit log, which it serves.
import { auditLog, createForge, defineMigration, defineRoute, runForge } from "apiforge";
import { z } from "zod";

const add = defineRoute({
  method: "POST",
  path: "/notes",
  idempotency: "required",
  body: z.object({ id: z.string() }),
  replies: { 201: null },
  handler: async ({ body, tx }) => {
    await tx.sql`insert into notes (id) values (${body.id})`;
    tx.audit({ action: "note.added", detail: { note: body.id } });
    return { status: 201 };
  },
});

const forge = await createForge([
  {
    routes: [add],
    migrations: [defineMigration("notes-0001", "create table notes (id text primary key)")],
  },
  auditLog(),
]);
await runForge(forge);
