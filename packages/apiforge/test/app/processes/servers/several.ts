// A program of several processes. While a file named by BROKEN is there, no process of it starts.
import { existsSync } from "node:fs";
import { createForge, defineMigration, defineRoute, runForge } from "apiforge";
import { z } from "zod";

const { pid } = process;
const who = z.object({ pid: z.int() });

const ask = defineRoute({
  method: "GET",
  path: "/who",
  auth: "none",
  transaction: "none",
  replies: { 200: who },
  handler: () => ({ status: 200, body: { pid } }),
});

const standStill = defineRoute({
  method: "GET",
  path: "/stand-still",
  auth: "none",
  transaction: "none",
  replies: { 200: who },
  handler: () => {
    console.log("standing still");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return { status: 200, body: { pid } };
  },
});

const limited = defineRoute({
  method: "GET",
  path: "/limited",
  auth: "none",
  transaction: "none",
  limits: [{ name: "all", limit: Number(process.env["LIMIT"] ?? 1), per: "1h" }],
  replies: { 200: who },
  handler: () => ({ status: 200, body: { pid } }),
});

const write = defineRoute({
  method: "POST",
  path: "/notes",
  idempotency: "required",
  body: z.object({ id: z.string() }),
  replies: { 201: who },
  async handler({ body, tx }) {
    await tx.sql`insert into notes (id, pid) values (${body.id}, ${pid})`;
    return { status: 201, body: { pid } };
  },
});

await runForge(() => {
  if (existsSync(process.env["BROKEN"] ?? "")) throw new Error("This version does not start");
  return createForge({
    routes: [ask, standStill, limited, write],
    // No key: a note that is written twice is seen.
    migrations: [
      defineMigration("notes-0001", "create table notes (id text not null, pid integer not null)"),
    ],
  });
});
