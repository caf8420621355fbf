// A server whose handlers and jobs hold on to what they have until a file named by HOLD_UNTIL exists,
// or for ever: for what a request or an attempt that does not end does to its neighbours.
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { createForge, defineJob, defineMigration, defineRoute, runForge } from "apiforge";
import { z } from "zod";

const pollMs = 10;
const heldUntil = process.env["HOLD_UNTIL"] ?? "";

async function hold(signal?: AbortSignal): Promise<void> {
  console.log("holding");
  while (!existsSync(heldUntil))
    await delay(pollMs, undefined, signal === undefined ? {} : { signal });
}

const holdJob = defineJob("hold", {
  input: z.object({}),
  attempts: 3,
  run: ({ signal }) => hold(signal),
});

const note = z.object({ id: z.string() });

const write = defineRoute({
  method: "POST",
  path: "/notes",
  auth: "none",
  body: note,
  replies: { 201: note },
  handler: async ({ body, tx }) => {
    await tx.sql`insert into notes (id) values (${body.id})`;
    return { status: 201, body };
  },
});

const holdTransaction = defineRoute({
  method: "POST",
  path: "/held-notes",
  auth: "none",
  body: note,
  replies: { 201: note },
  handler: async ({ body, tx }) => {
    await tx.sql`insert into notes (id) values (${body.id})`;
    await hold();
    return { status: 201, body };
  },
});

const enqueueHold = defineRoute({
  method: "POST",
  path: "/held-jobs",
  auth: "none",
  replies: { 202: null },
  handler: async ({ tx }) => {
    await tx.enqueue(holdJob, {});
    return { status: 202 };
  },
});

const forge = await createForge({
  routes: [write, holdTransaction, enqueueHold],
  jobs: [holdJob],
  migrations: [defineMigration("notes-0001", "create table notes (id text primary key)")],
});
await runForge(forge);
