import { defineRoute, type Route } from "apiforge";
import { z } from "zod";
import { productOf } from "./product.ts";
import { requestsPerMinute, type EdgeSettings } from "./settings.ts";

const product = z.object({
  id: z.string(),
  name: z.string(),
  price: z.object({ amount: z.int(), currency: z.string() }),
  tags: z.array(z.string()),
  stock: z.int(),
  updatedAt: z.string(),
});

/** The route that every target has, with its stages. */
export function productRoute({ origin }: EdgeSettings): Route {
  return defineRoute({
    method: "GET",
    path: "/products/:id",
    cors: { origins: [origin] },
    // By address, as the peers count.
    limits: [{ name: "bench", limit: requestsPerMinute, per: "1m", by: "address" }],
    params: z.object({ id: z.string().regex(/^\d+$/) }),
    query: z.object({ detail: z.enum(["full", "short"]).default("short") }),
    transaction: "none",
    replies: { 200: product },
    handler: ({ params, query }) => ({ status: 200, body: productOf(params.id, query.detail) }),
  });
}

/** {@link productRoute} without the stage of this name, if it is one of a route. */
export function productRouteWithout(stage: string, settings: EdgeSettings): Route {
  const route = productRoute(settings);
  switch (stage) {
    case "authenticate":
      return { ...route, auth: "none" };
    case "cors":
      return { ...route, cors: false };
    case "limit":
      return { ...route, limits: [] };
    case "validate": {
      const handler: Route["handler"] = () => ({ status: 200, body: productOf("42", "full") });
      return { ...route, params: undefined, query: undefined, handler };
    }
    case "allow-list":
      return { ...route, replies: { 200: z.unknown() } };
    default:
      return route;
  }
}
