import {
  createForge,
  defineEvent,
  defineJob,
  defineMigration,
  defineRoute,
  newId,
  runForge,
} from "apiforge";
import { z } from "zod";

const order = z.object({ id: z.string(), cents: z.int().positive() });
const orderPlaced = defineEvent("order.placed", order);
const sendReceipt = defineJob("send-receipt", {
  input: order,
  run: async ({ input, attempt }) =>
    console.log(`receipt for ${input.id}: ${input.cents} cents (attempt ${attempt})`),
});

const placeOrder = defineRoute({
  method: "POST",
  path: "/orders",
  body: order.pick({ cents: true }),
  replies: { 201: order },
  handler: async ({ body, principal, tx }) => {
    const placed = { id: newId("ord"), cents: body.cents };
    await tx.sql`insert into orders (id, tenant, cents) values (${placed.id}, ${principal.tenant}, ${placed.cents})`;
    tx.emit(orderPlaced, placed);
    await tx.enqueue(sendReceipt, placed);
    return { status: 201, body: placed };
  },
});

const orders = defineMigration(
  "orders-0001",
  "create table orders (id text primary key, tenant text, cents integer)",
);
await runForge(
  await createForge({ routes: [placeOrder], jobs: [sendReceipt], migrations: [orders] }),
);
