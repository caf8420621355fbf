import Fastify from "fastify";
import { productOf, productSchema } from "../product.ts";
import { announce } from "../settings.ts";

/** Fastify with nothing but the route and its answer's schema. */
const app = Fastify();
app.get<{ Params: { id: string }; Querystring: { detail?: string } }>(
  "/products/:id",
  { schema: { response: { 200: productSchema } } },
  async ({ params, query }) => productOf(params.id, query.detail === "full" ? "full" : "short"),
);
announce(await app.listen({ port: 0, host: "127.0.0.1" }));
