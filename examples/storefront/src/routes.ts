import { defineRoute, listQuery, notFound, pageOf, type CorsOptions } from "apiforge";
import { z } from "zod";

import { findProduct, listProducts } from "./products-table.ts";

const tags = ["storefront"];

/** The shop's own pages. A new one is added here, after somebody has looked at it. */
const cors: CorsOptions = {
  origins: ["https://shop.example.com", "https://admin.example.com", "https://promo.example.com"],
  // A browser asks once a day, instead of before every call.
  maxAgeSeconds: 86_400,
};

const product = z.object({
  id: z.string(),
  name: z.string(),
  category: z.string(),
  priceCents: z.int(),
});

const listRoute = defineRoute({
  method: "GET",
  path: "/products",
  summary: "List products",
  tags,
  auth: "none",
  cors,
  etag: true,
  cache: { maxAgeSeconds: 60, public: true },
  query: listQuery({ category: z.string().max(40).optional() }),
  replies: { 200: pageOf(product) },
  handler: async ({ query: { category, limit }, tx, list }) => {
    const after = list.position<{ id: string }>()?.id;
    const rows = await listProducts(tx, { category, after, limit: limit + 1 });
    return { status: 200, body: list.page(rows, limit, ({ id }) => ({ id })) };
  },
});

const readRoute = defineRoute({
  method: "GET",
  path: "/products/:id",
  summary: "Read a product",
  tags,
  auth: "none",
  cors,
  etag: true,
  cache: { maxAgeSeconds: 60, public: true },
  replies: { 200: product },
  handler: async ({ params, tx }) => {
    const found = await findProduct(tx, params.id);
    if (found === undefined) throw notFound("No product has this id.");
    return { status: 200, body: found };
  },
});

/** What the shop's pages read. */
export const storefrontRoutes = [listRoute, readRoute];
