import { defineConsumer, type Reader } from "apiforge";

import { orderPlaced } from "./events.ts";
import { order, type Notice } from "./schema.ts";

/** Tells a user that the kitchen has his order. */
export const tellOfOrders = defineConsumer("mobile-order-notices", {
  events: [orderPlaced.name],
  handle: async ({ event, tx }) => {
    const { dish, quantity } = order.parse(JSON.parse(event.data));
    const text = `The kitchen has your order: ${quantity} × ${dish}`;
    await tx.sql`
      insert into mobile_notices (tenant, seq, text, created_at)
      values (${event.tenant}, ${event.seq}, ${text}, ${event.createdAt})`;
  },
});

/** The latest `limit` notices of the user. */
export async function latestNotices(reader: Reader, limit: number): Promise<Notice[]> {
  const rows = await reader.sql<{ text: string; created_at: number }>`
    select text, created_at from mobile_notices order by seq desc limit ${limit}`;
  return rows.map(({ text, created_at: createdAt }) => ({
    text,
    createdAt: new Date(createdAt).toISOString(),
  }));
}
