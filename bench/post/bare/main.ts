import Fastify from "fastify";
import { BareWriter, type ProjectInput } from "./group-writer.ts";

/*
 * What one thread can do at best: Fastify and the rows of a request on SQLite, with the commits and
 * syncs of ours. Nobody is authenticated, nothing validated, no answer replayed, no failure undone.
 */
const writer = new BareWriter(process.env["DATABASE"] ?? "");
const server = Fastify({ logger: false });
server.post<{ Body: ProjectInput }>("/api/projects", async (request, reply) => {
  const body = await writer.create(request.body, String(request.headers["idempotency-key"]));
  reply.code(201).header("content-type", "application/json; charset=utf-8");
  return body;
});
process.once("SIGTERM", () => void server.close());
const url = await server.listen({ host: "127.0.0.1", port: Number(process.env["PORT"]) });
console.log(`Bare ready on ${url}`);
