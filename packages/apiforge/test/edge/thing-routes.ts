import { Type } from "typebox";
import { z } from "zod";

import {
  badRequest,
  conflict,
  defineRoute,
  forbidden,
  listQuery,
  notFound,
  pageOf,
  paymentRequired,
  unprocessable,
} from "../../src/edge/index.ts";
import { ApiForgeError } from "../../src/kernel/index.ts";

const thing = z.object({ id: z.string(), name: z.string() });
const newThing = z.object({
  name: z.string().min(1).max(40),
  size: z.object({ width: z.number(), height: z.number().optional() }).optional(),
  parts: z.array(z.object({ label: z.string() })).optional(),
});

const createThing = defineRoute({
  method: "POST",
  path: "/things",
  body: newThing,
  replies: { 201: thing },
  handler: async ({ body, tx, principal }) => {
    const id = `thing_${body.name}`;
    await tx.sql`insert into thing (id, tenant, name) values (${id}, ${principal.tenant}, ${body.name})`;
    return { status: 201, body: { id, name: body.name, tenant: principal.tenant } };
  },
});

const listThings = defineRoute({
  method: "GET",
  path: "/things",
  query: listQuery({ name: z.string().optional(), sort: z.enum(["id"]).default("id") }),
  replies: { 200: pageOf(thing) },
  handler: async ({ query, tx, principal, list }) => {
    const after = list.position<{ id: string }>()?.id ?? "";
    const rows = await tx.sql<{ id: string; name: string }>`
      select id, name from thing where tenant = ${principal.tenant} and id > ${after}
      order by id limit ${query.limit + 1}`;
    return { status: 200, body: list.page(rows, query.limit, (last) => ({ id: last.id })) };
  },
});

const readThing = defineRoute({
  method: "GET",
  path: "/things/:id",
  replies: { 200: thing },
  handler: async ({ params, tx, principal }) => {
    const [row] = await tx.sql<{ id: string; name: string }>`
      select id, name from thing where tenant = ${principal.tenant} and id = ${params.id}`;
    if (row === undefined) throw notFound("No such thing");
    return { status: 200, body: row };
  },
});

const deleteThing = defineRoute({
  method: "DELETE",
  path: "/things/:id",
  roles: ["admin"],
  replies: { 204: null },
  handler: async ({ params, tx }) => {
    await tx.sql`delete from thing where id = ${params.id}`;
    return { status: 204 };
  },
});

/** The same shape in TypeBox. */
const replaceThing = defineRoute({
  method: "PUT",
  path: "/things/:id",
  scopes: ["things:write"],
  body: Type.Object({
    name: Type.String({ minLength: 1 }),
    parts: Type.Optional(Type.Array(Type.Object({ label: Type.String() }))),
  }),
  replies: { 200: Type.Object({ id: Type.String(), name: Type.String() }) },
  handler: ({ params, body }) => ({ status: 200, body: { id: params.id, name: body.name } }),
});

const orderThing = defineRoute({
  method: "POST",
  path: "/orders",
  idempotency: "required",
  maxBodyBytes: 200,
  body: z.object({ amount: z.number() }),
  replies: { 202: z.object({ amount: z.number() }) },
  handler: ({ body }) => ({ status: 202, body }),
});

const action = defineRoute({
  method: "POST",
  path: "/things/:id/confirm",
  replies: { 200: z.object({ id: z.string() }) },
  handler: ({ params }) => ({ status: 200, body: params }),
});

const upload = defineRoute({
  method: "POST",
  path: "/public",
  auth: "none",
  body: z.object({ at: z.string() }),
  replies: { 200: z.object({ at: z.string() }) },
  handler: ({ body }) => ({ status: 200, body }),
});

/** Writes a row, then ends as its parameter says. */
const outcome = defineRoute({
  method: "POST",
  path: "/outcomes/:kind",
  replies: {
    200: z.object({ ok: z.boolean() }),
    409: z.object({ reason: z.string() }),
  },
  handler: async ({ params, tx, principal, request }) => {
    const { kind } = params;
    await tx.sql`insert into thing (id, tenant, name) values (${request.id}, ${principal.tenant}, ${kind})`;
    switch (kind) {
      case "returned-409":
        return { status: 409, body: { reason: "state" } };
      case "bad-request":
        throw badRequest("bad_colour", "There is no such colour", "body.colour");
      case "forbidden":
        throw forbidden();
      case "not-found":
        throw notFound();
      case "conflict":
        throw conflict("slot_unavailable", "The slot is taken", "body.slotId");
      case "unprocessable":
        throw unprocessable("out_of_stock", "Nothing left");
      case "payment-required":
        throw paymentRequired("card_declined", "Your card was declined.");
      case "retryable":
        throw new ApiForgeError(
          "busy",
          { type: "conflict_error", status: 409, retryable: true },
          "Busy",
        );
      case "unknown-error":
        throw new Error("password=hunter2 at /srv/db.ts");
      case "wrong-reply":
        // A handler in JavaScript, or one that casts, can do this.
        return { status: 200, body: { ok: "yes" as unknown as boolean } };
      case "missing-field":
        return { status: 200, body: {} as { ok: boolean } };
      case "undeclared-status":
        return { status: 207 as 200, body: { ok: true } };
      case "bad-header":
        return { status: 200, body: { ok: true }, headers: { "x-note": "a\r\nset-cookie: b" } };
      case "reserved-header":
        return { status: 200, body: { ok: true }, headers: { "Content-Length": "3" } };
      default:
        return { status: 200, body: { ok: true }, headers: { "X-Note": "fine" } };
    }
  },
});

/** Reads, then ends as its parameter says. */
const readOutcome = defineRoute({
  method: "GET",
  path: "/outcomes/:kind",
  query: Type.Object({ count: Type.Optional(Type.Integer({ minimum: 1 })) }),
  replies: { 200: z.object({ count: z.number(), tenant: z.string() }) },
  handler: ({ params, query, principal }) => {
    if (params.kind === "unknown-error") throw new Error("select * from secret");
    return {
      status: 200,
      body: { count: query.count ?? 0, tenant: principal.tenant },
      headers: { "cache-control": "max-age=5" },
    };
  },
});

export const thingRoutes = [
  createThing,
  listThings,
  readThing,
  deleteThing,
  replaceThing,
  orderThing,
  action,
  upload,
  outcome,
  readOutcome,
];
