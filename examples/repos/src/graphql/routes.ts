import { defineRoute, stage, textReply, type PlacedStage } from "apiforge";
import { z } from "zod";

import type { GraphQLContext } from "./context.ts";
import type { FirstUse } from "./first-use.ts";
import { responseType } from "./media-type.ts";
import type { GraphQLRequest } from "./server.ts";

const path = "/graphql";
const tags = ["repos"];
const json = textReply("application/json; charset=utf-8");
const replies = { 200: json, 400: json, 405: json };
const headers = z.object({ accept: z.string().optional() });
const map = z.record(z.string(), z.unknown());

const parameters = z.object({
  query: z.string().nullish(),
  operationName: z.string().nullish(),
  variables: map.nullish(),
  extensions: map.nullish(),
});

const queryParameters = z.object({
  query: z.string().optional(),
  operationName: z.string().optional(),
  variables: z.string().optional(),
  extensions: z.string().optional(),
});

/**
 * `GET /graphql`: queries on one snapshot. `POST /graphql`: queries and mutations in one transaction;
 * mutations need a token, and can be repeated under an idempotency key.
 */
export function graphqlRoutes(server: FirstUse) {
  async function answer(request: GraphQLRequest, context: GraphQLContext) {
    const accept = responseType(request.accept);
    const response = await server.serve({ ...request, accept }, context);
    // What no client can plan for takes back what the request did, and is answered as everywhere.
    if (context.failures.length > 0) throw context.failures[0];
    const { status } = response;
    if (status !== 200 && status !== 400 && status !== 405) {
      throw new TypeError(`GraphQL answered with status ${status}`);
    }
    const allow = response.headers.get("allow");
    const body = await response.text();
    return { status, body, ...(allow === null ? {} : { headers: { allow } }) } as const;
  }

  const read = defineRoute({
    method: "GET",
    path,
    auth: "none",
    summary: "Run a GraphQL query",
    tags,
    headers,
    query: queryParameters,
    replies,
    handler: ({ query, headers: { accept = "" }, tx }) =>
      answer(
        { method: "GET", accept, parameters: query },
        { reader: tx, tx: undefined, principal: undefined, failures: [] },
      ),
  });

  const run = defineRoute({
    method: "POST",
    path,
    auth: "optional",
    summary: "Run a GraphQL query or mutation",
    tags,
    headers,
    body: parameters,
    maxBodyBytes: 65_536,
    replies,
    handler: ({ body, headers: { accept = "" }, tx, principal }) =>
      answer(
        { method: "POST", accept, parameters: body },
        { reader: tx, tx, principal, failures: [] },
      ),
  });

  return { routes: [read, run] as const, stages: [graphqlServer(server), graphqlMediaType] };
}

/** Has the server loaded before a request's transaction begins, which must not wait for it. */
function graphqlServer(server: FirstUse): PlacedStage {
  return stage("graphql-server", "validate", (route) =>
    route?.path === path ? { enter: () => server.prepare() } : undefined,
  );
}

/** Gives GraphQL's answers the media type that was asked for; errors of the edge keep their own. */
const graphqlMediaType = stage("graphql-media-type", "validate", (route) =>
  route?.path === path
    ? {
        leave(exchange, leaving) {
          if (exchange.failureCode !== undefined) return undefined;
          const type = `${responseType(exchange.headers.accept)}; charset=utf-8`;
          const { answer } = leaving;
          const all = { ...answer.headers, "content-type": type };
          return { ...leaving, answer: { ...answer, headers: all } };
        },
      }
    : undefined,
);
