import { defineRoute } from "apiforge";

import { listDishes } from "./dishes-table.ts";
import { latestNotices } from "./notices.ts";
import { listOrders } from "./orders-table.ts";
import { findProfile } from "./profiles-table.ts";
import { home } from "./schema.ts";

const shown = 3;

/**
 * The first screen in one round trip: what would be four requests over a phone's network are four
 * queries of one snapshot here, so its parts are of one moment.
 */
export const homeRoute = defineRoute({
  method: "GET",
  path: "/mobile/home",
  summary: "All that the first screen shows",
  tags: ["mobile"],
  etag: true,
  // The app keeps it, and asks each time whether it is still so.
  cache: { maxAgeSeconds: 0 },
  replies: { 200: home },
  handler: async ({ tx }) => {
    const [profile, menu, orders, notices] = await Promise.all([
      findProfile(tx),
      listDishes(tx),
      listOrders(tx, { before: undefined, limit: shown }),
      latestNotices(tx, shown),
    ]);
    return { status: 200, body: { profile, menu, orders, notices } };
  },
});
