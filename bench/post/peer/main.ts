import { fastifyJwt } from "@fastify/jwt";
import Fastify from "fastify";
import { Redis } from "ioredis";
import { openAlerts } from "./alerts.ts";
import { answerProblems } from "./problem.ts";
import { openPool, type ProjectStore } from "./project-store.ts";
import { addProjectRoutes } from "./projects.ts";
import { readSettings } from "./settings.ts";
import { openSingleStatementStore } from "./single-statement-store.ts";
import { openTransactionStore } from "./transaction-store.ts";

/*
 * The peer: what a competent team builds today from Fastify, PostgreSQL, Redis and BullMQ for the
 * same route. Prints `Peer ready on http://…` once requests are served.
 */

declare module "@fastify/jwt" {
  interface FastifyJWT {
    payload: { sub: string; tenant: string };
    user: { sub: string; tenant: string };
  }
}

const verifiedTokens = 10_000;

const settings = readSettings(process.env);
const projects = await openProjectStore();
const redis = new Redis(settings.redisUrl, { enableAutoPipelining: true });
const alerts = openAlerts(settings.redisUrl, settings.jobConcurrency);

const app = Fastify({ logger: { level: "warn" } });
answerProblems(app);
await app.register(fastifyJwt, {
  secret: settings.jwtSecret,
  // A token is verified once and then found in the cache until it expires.
  verify: { algorithms: ["HS256"], cache: verifiedTokens },
});
addProjectRoutes(app, { projects, alerts, redis });
const address = await app.listen({ port: settings.port, host: "127.0.0.1" });
console.log(`Peer ready on ${address}`);

process.once("SIGTERM", () => void stop());

async function openProjectStore(): Promise<ProjectStore> {
  const pool = await openPool(settings.databaseUrl, settings.postgresConnections);
  return settings.store === "transaction"
    ? openTransactionStore(pool)
    : openSingleStatementStore(pool);
}

async function stop(): Promise<void> {
  await app.close();
  await alerts.close();
  redis.disconnect();
  await projects.close();
}
