import cors from "@fastify/cors";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import Fastify from "fastify";
import { productOf, productSchema } from "../product.ts";
import { announce, readSettings, requestsPerMinute } from "../settings.ts";

const { secret, origin } = readSettings();

/** Fastify with the plugins of its own documentation: token (verified ones are cached), limit, CORS, validation, log. */
const app = Fastify({ logger: { level: "info" } });
await app.register(jwt, { secret, verify: { cache: true } });
await app.register(cors, { origin: [origin] });
await app.register(rateLimit, { max: requestsPerMinute, timeWindow: "1 minute" });
app.get<{ Params: { id: string }; Querystring: { detail: "full" | "short" } }>(
  "/products/:id",
  {
    schema: {
      params: {
        type: "object",
        required: ["id"],
        properties: { id: { type: "string", pattern: "^[0-9]+$" } },
      },
      querystring: {
        type: "object",
        additionalProperties: false,
        properties: { detail: { type: "string", enum: ["full", "short"], default: "short" } },
      },
      response: { 200: productSchema },
    },
    onRequest: (request) => request.jwtVerify(),
  },
  async ({ params, query }) => productOf(params.id, query.detail),
);
announce(await app.listen({ port: 0, host: "127.0.0.1" }));
