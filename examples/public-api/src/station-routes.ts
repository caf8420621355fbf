import { defineRoute, listQuery, notFound, pageOf } from "apiforge";
import { z } from "zod";

import { stationScope } from "./plans.ts";
import { findStation, listStations } from "./stations-table.ts";

const station = z.object({
  id: z.string(),
  name: z.string(),
  line: z.string(),
  latitude: z.number(),
  longitude: z.number(),
});

/** Stations hardly change: callers keep them for a minute, and then ask whether they have. */
const reading = {
  auth: "key",
  scopes: [stationScope],
  tags: ["public-api"],
  etag: true,
  cache: { maxAgeSeconds: 60 },
} as const;

const listRoute = defineRoute({
  ...reading,
  method: "GET",
  path: "/public-api/stations",
  summary: "List stations",
  query: listQuery({ line: z.enum(["red", "blue"]).optional() }),
  replies: { 200: pageOf(station) },
  handler: async ({ query: { line, limit }, tx, list }) => {
    const after = list.position<{ id: string }>()?.id;
    const rows = await listStations(tx, { line, after, limit: limit + 1 });
    return { status: 200, body: list.page(rows, limit, ({ id }) => ({ id })) };
  },
});

const readRoute = defineRoute({
  ...reading,
  method: "GET",
  path: "/public-api/stations/:id",
  summary: "Read a station",
  replies: { 200: station },
  handler: async ({ params, tx }) => {
    const found = await findStation(tx, params.id);
    if (found === undefined) throw notFound("No station has this id.");
    return { status: 200, body: found };
  },
});

/** What a key is for. */
export const stationRoutes = [listRoute, readRoute];
