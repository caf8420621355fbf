import type { FastifyInstance } from "fastify";

import { openApiDocuments } from "./documents.ts";
import { mountReference } from "../reference/mount-reference.ts";
import type { VersionChoice } from "../versions/version-choice.ts";
import type { EdgeOptions } from "../edge-options.ts";

/** Serves what describes the server: `/openapi.json`, `/docs`, and its public keys where it has any. */
export function mountDocuments(
  server: FastifyInstance,
  options: EdgeOptions,
  versions: VersionChoice | undefined,
): void {
  const { routes, api = { title: "API", version: "0.0.0" } } = options;
  const documentOf = openApiDocuments(routes, api, versions);
  server.get("/openapi.json", ({ query }) => documentOf(query));
  mountReference(server, documentOf);
  const { jwks } = options;
  if (jwks === undefined) return;
  server.get("/.well-known/jwks.json", (_request, reply) => {
    // Less than the hour and more that a key is published before it signs, and soon after one is distrusted.
    reply.header("cache-control", "public, max-age=300");
    return jwks();
  });
}
