import { usePersistedOperations } from "@graphql-yoga/plugin-persisted-operations";
import { documentLimits } from "apiforge/graphql";
import { MaxIntrospectionDepthRule } from "graphql";
import { createYoga, type Plugin } from "graphql-yoga";

import type { GraphQLContext } from "./context.ts";
import { collectFailures, maskedError } from "./errors.ts";
import { listedDocuments } from "./listed-documents.ts";
import { maxPageSize, repoSchema } from "./schema.ts";

/** `any`: every document within the limits. `listed`: those of our own clients alone. */
export type Documents = "any" | "listed";

/** A request of GraphQL over HTTP that the edge has read. */
export interface GraphQLRequest {
  readonly method: "GET" | "POST";
  /** The media type that the answer is to have. */
  readonly accept: string;
  /** A GET's parameters, or a POST's body. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Answers a request; never with a status that GraphQL over HTTP does not give. */
export type GraphQLServer = (request: GraphQLRequest, context: GraphQLContext) => Promise<Response>;

// A repository with its owner's others is 4 deep; two such rounds are what a page can need.
const limits = { maxDepth: 6, maxCost: 1_000, pages: { repositories: maxPageSize } };
// Yoga leaves the status of its own extensions to them.
const badRequest = { extensions: { http: { status: 400 }, type: "invalid_request_error" } };

/** GraphQL Yoga behind the edge: no pages, batches, uploads or CORS of its own. */
export function createGraphQLServer(documents: Documents): GraphQLServer {
  const yoga = createYoga<GraphQLContext>({
    schema: repoSchema,
    plugins: [collectFailures, limitDocuments, onlyDocuments(documents)],
    maskedErrors: { maskError: maskedError },
    batching: false,
    multipart: false,
    graphiql: false,
    landingPage: false,
    cors: false,
    logging: false,
  });
  return async function serveGraphQL({ method, accept, parameters }, context) {
    const url = new URL("http://localhost/graphql");
    if (method === "POST") {
      const headers = { accept, "content-type": "application/json" };
      return yoga.fetch(url, { method, headers, body: JSON.stringify(parameters) }, context);
    }
    for (const [name, value] of Object.entries(parameters)) {
      if (typeof value === "string") url.searchParams.set(name, value);
    }
    return yoga.fetch(url, { method, headers: { accept } }, context);
  };
}

const limitDocuments: Plugin = {
  onValidate({ addValidationRule }) {
    addValidationRule(documentLimits(limits));
    addValidationRule(MaxIntrospectionDepthRule);
  },
};

function onlyDocuments(documents: Documents): Plugin {
  return usePersistedOperations({
    allowArbitraryOperations: documents === "any",
    getPersistedOperation: (sha256) => listedDocuments.get(sha256) ?? null,
    customErrors: {
      notFound: refusal("document_not_listed", "No listed document has this hash."),
      keyNotFound: refusal("document_missing", "Send a query, or the hash of a listed document."),
      persistedQueryOnly: refusal("document_not_listed", "Send the hash of a listed document."),
    },
  });
}

function refusal(code: string, message: string) {
  return { message, extensions: { ...badRequest.extensions, code } };
}
