import { badRequest, defineRoute, listQuery, newId, notFound, pageOf } from "apiforge";

import { findDish } from "./dishes-table.ts";
import { orderPlaced } from "./events.ts";
import { findOrder, insertOrder, listOrders } from "./orders-table.ts";
import { newOrder, order, type Order } from "./schema.ts";

const tags = ["mobile"];

const placeRoute = defineRoute({
  method: "POST",
  path: "/mobile/orders",
  summary: "Order a dish",
  tags,
  // Over a bad line an app sends twice what was served once.
  idempotency: "required",
  body: newOrder,
  replies: { 201: order },
  handler: async ({ body: { dishId, quantity, note }, principal, tx }) => {
    const dish = await findDish(tx, dishId);
    if (dish === undefined) {
      throw badRequest("dish_unknown", "The menu has no such dish.", "body.dishId");
    }
    const placed: Order = {
      id: newId("ord"),
      dish: dish.name,
      quantity,
      totalCents: dish.priceCents * quantity,
      note,
      placedAt: new Date().toISOString(),
    };
    await insertOrder(tx, principal.tenant, placed);
    tx.emit(orderPlaced, placed);
    return { status: 201, body: placed };
  },
});

const listRoute = defineRoute({
  method: "GET",
  path: "/mobile/orders",
  summary: "List orders, newest first",
  tags,
  query: listQuery({}),
  replies: { 200: pageOf(order) },
  handler: async ({ query: { limit }, tx, list }) => {
    const before = list.position<{ id: string }>()?.id;
    const rows = await listOrders(tx, { before, limit: limit + 1 });
    return { status: 200, body: list.page(rows, limit, ({ id }) => ({ id })) };
  },
});

const readRoute = defineRoute({
  method: "GET",
  path: "/mobile/orders/:id",
  summary: "Read an order",
  tags,
  replies: { 200: order },
  handler: async ({ params, tx }) => {
    const found = await findOrder(tx, params.id);
    if (found === undefined) throw notFound("You have no such order.");
    return { status: 200, body: found };
  },
});

/** Orders of the user. */
export const orderRoutes = [placeRoute, listRoute, readRoute];
