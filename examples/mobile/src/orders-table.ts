import { sql, type Reader, type Transaction } from "apiforge";

import type { Order } from "./schema.ts";

interface OrderRow {
  readonly id: string;
  readonly dish: string;
  readonly quantity: number;
  readonly total_cents: number;
  readonly note: string;
  readonly placed_at: number;
}

export async function insertOrder(tx: Transaction, user: string, order: Order): Promise<void> {
  await tx.sql`
    insert into mobile_orders (tenant, id, dish, quantity, total_cents, note, placed_at)
    values (${user}, ${order.id}, ${order.dish}, ${order.quantity}, ${order.totalCents},
      ${order.note}, ${Date.parse(order.placedAt)})`;
}

/** Orders, newest first: their ids sort by time. The tables show a user his own only. */
export async function listOrders(
  reader: Reader,
  page: { readonly before: string | undefined; readonly limit: number },
): Promise<Order[]> {
  const before = page.before === undefined ? sql`` : sql`where id < ${page.before}`;
  const rows = await reader.sql<OrderRow>`
    select id, dish, quantity, total_cents, note, placed_at from mobile_orders ${before}
    order by id desc limit ${page.limit}`;
  return rows.map(toOrder);
}

export async function findOrder(reader: Reader, id: string): Promise<Order | undefined> {
  const [row] = await reader.sql<OrderRow>`
    select id, dish, quantity, total_cents, note, placed_at from mobile_orders where id = ${id}`;
  return row && toOrder(row);
}

function toOrder(row: OrderRow): Order {
  return {
    id: row.id,
    dish: row.dish,
    quantity: row.quantity,
    totalCents: row.total_cents,
    note: row.note,
    placedAt: new Date(row.placed_at).toISOString(),
  };
}
