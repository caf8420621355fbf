import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { jwt } from "hono/jwt";
import { pino } from "pino";
import { rateLimiter } from "hono-rate-limiter";
import { z } from "zod";
import { productOf } from "../product.ts";
import { announceServer, readSettings, requestsPerMinute } from "../settings.ts";

const { secret, origin } = readSettings();
const params = z.object({ id: z.string().regex(/^\d+$/) });
const query = z.strictObject({ detail: z.enum(["full", "short"]).default("short") });
const log = pino();

/** Hono on Node.js with its own middleware for CORS and tokens, the limiter that its page names, and pino. */
const app = new Hono();
app.use(async (context, next) => {
  const startedAt = performance.now();
  await next();
  const { req, res } = context;
  const durationMs = performance.now() - startedAt;
  log.info({ method: req.method, path: req.path, status: res.status, durationMs }, "request");
});
app.use(cors({ origin: [origin] }));
app.use(jwt({ secret, alg: "HS256" }));
app.use(
  rateLimiter({
    windowMs: 60_000,
    limit: requestsPerMinute,
    keyGenerator: (context) => context.req.header("authorization") ?? "",
  }),
);
app.get("/products/:id", (context) => {
  const { id } = params.parse(context.req.param());
  const { detail } = query.parse(context.req.query());
  return context.json(productOf(id, detail));
});
// Without options for HTTP/2 it is a server of node:http.
await announceServer(serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }) as Server);
