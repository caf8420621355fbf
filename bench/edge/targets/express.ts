import cors from "cors";
import express from "express";
import { rateLimit } from "express-rate-limit";
import { expressjwt } from "express-jwt";
import { pinoHttp } from "pino-http";
import { z } from "zod";
import { productOf } from "../product.ts";
import { announceServer, readSettings, requestsPerMinute } from "../settings.ts";

const { secret, origin } = readSettings();
const params = z.object({ id: z.string().regex(/^\d+$/) });
const query = z.strictObject({ detail: z.enum(["full", "short"]).default("short") });

/** Express with the middleware that its users put together: log, CORS, token, limit, validation. */
const app = express();
app.use(pinoHttp());
app.use(cors({ origin: [origin] }));
app.use(expressjwt({ secret, algorithms: ["HS256"] }));
app.use(rateLimit({ limit: requestsPerMinute, windowMs: 60_000, standardHeaders: "draft-8" }));
app.get("/products/:id", (request, response) => {
  const { id } = params.parse(request.params);
  const { detail } = query.parse(request.query);
  response.json(productOf(id, detail));
});
await announceServer(app.listen(0, "127.0.0.1"));
