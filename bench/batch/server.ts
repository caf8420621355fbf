// The server under test of `run.ts`: a batch whose items do nothing, and a small write beside it.
import {
  batchBody,
  createForge,
  defineBatch,
  defineMigration,
  defineRoute,
  runForge,
  type BatchRecord,
} from "apiforge";
import { z } from "zod";

const message = z.object({ to: z.string(), body: z.string() });
const messages = defineBatch("messages", {
  item: message,
  run: async ({ item }) => ({ sid: `SM${item.to}` }),
});
const status = z.object({ id: z.string(), status: z.string(), processed: z.number() });
const note = z.object({ id: z.string() });

function shown({ id, state, succeeded, failed }: BatchRecord) {
  return { id, status: state, processed: succeeded + failed };
}

const routes = [
  defineRoute({
    method: "POST",
    path: "/messages",
    auth: "none",
    idempotency: "optional",
    body: batchBody(messages, { field: "messages" }),
    replies: { 202: status },
    handler: async ({ body, tx }) => ({ status: 202, body: shown(await tx.batches.start(body)) }),
  }),
  defineRoute({
    method: "GET",
    path: "/messages/:id/status",
    auth: "none",
    replies: { 200: status, 404: null },
    handler: async ({ params, tx }) => {
      const batch = await tx.batches.find(params.id);
      return batch === undefined ? { status: 404 } : { status: 200, body: shown(batch) };
    },
  }),
  defineRoute({
    method: "POST",
    path: "/notes",
    auth: "none",
    idempotency: "optional",
    body: note,
    replies: { 202: note },
    handler: async ({ body, tx }) => {
      await tx.sql`insert into notes (id) values (${body.id})`;
      return { status: 202, body };
    },
  }),
];

const migrations = [defineMigration("notes-0001", "create table notes (id text primary key)")];
await runForge(await createForge({ routes, batches: [messages], migrations }));
