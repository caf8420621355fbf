import type { FastifyInstance } from "fastify";

import type { OpenApiDocument } from "./document.ts";
import { pageHeaders, referencePage } from "./page.ts";

/** Serves the reference at `/docs`; each document is made a page when it is first looked at. */
export function mountReference(
  server: FastifyInstance,
  documentOf: (query: unknown) => object,
): void {
  const pages = new WeakMap<object, string>();
  server.get("/docs", ({ query }, reply) => {
    const document = documentOf(query);
    const page = pages.get(document) ?? referencePage(document as OpenApiDocument);
    pages.set(document, page);
    return reply.headers(pageHeaders).send(page);
  });
}
