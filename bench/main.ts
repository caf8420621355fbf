/*
 * `npm run bench` names the benchmarks, `npm run -w bench bench -- post --seconds 5` runs one of them.
 */

const usage = `Usage: npm run -w bench bench -- <name> [options]

  jobs        no-op jobs against BullMQ, pg-boss and Graphile Worker
  post        POST /api/projects against Fastify + PostgreSQL + Redis + BullMQ
  edge        GET with every stage on against Fastify, NestJS, Hono and Express
  gateway     requests passed on against nginx, HAProxy, Caddy and the proxies of Node
  half-load   what gateways add to a request at half of what they can serve
  batch       a batch of 100,000 and of 1,000,000 items, and what small writes feel of it
  limits      one check of a limit, in memory, written behind and leased, and the memory of its callers
  reload      a gateway whose configuration changes under load: requests that fail
  rolling     two processes that are replaced one after the other under load: requests that fail
  startup     time to the first answer, memory of an idle server
  store-size  the same writes on an empty and on a filled store
  writer      where SQLite's writer runs and who syncs and checkpoints its log

Options, method and durations: bench/README.md. Needs Linux with wrk and redis-server.`;

const programs: ReadonlyMap<string, () => Promise<unknown>> = new Map([
  ["jobs", () => import("./jobs/run.ts")],
  ["post", () => import("./post/run.ts")],
  ["edge", () => import("./edge/run.ts")],
  ["gateway", () => import("./gateway/run.ts")],
  ["half-load", () => import("./gateway/half-load.ts")],
  ["batch", () => import("./batch/run.ts")],
  ["limits", () => import("./limits/run.ts")],
  ["reload", () => import("./reload/run.ts")],
  ["rolling", () => import("./rolling/run.ts")],
  ["startup", () => import("./startup/run.ts")],
  ["store-size", () => import("./store-size/run.ts")],
  ["writer", () => import("./writer/run.ts")],
]);

const [name = ""] = process.argv.splice(2, 1);
const program = programs.get(name);
if (program === undefined) {
  console.log(usage);
  if (name !== "") process.exitCode = 2;
} else {
  await program();
}
