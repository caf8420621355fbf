import { ApiForgeError } from "apiforge";
import { GraphQLError } from "graphql";
import type { Plugin } from "graphql-yoga";

import type { GraphQLContext } from "./context.ts";

/**
 * What a client is told of an error: a refusal with the type, code and parameter of the envelope,
 * GraphQL's own errors as they are, nothing of any other.
 */
export function maskedError(error: unknown): Error {
  const cause = causeOf(error);
  if (isGraphQLError(cause)) return isGraphQLError(error) ? error : cause;
  const at = isGraphQLError(error) ? { nodes: error.nodes, path: error.path } : {};
  if (!isRefusal(cause)) {
    return new GraphQLError("Something went wrong on our side.", { ...at, cause });
  }
  const { type, code, param, message } = cause;
  const extensions = { type, code, ...(param === undefined ? {} : { param }) };
  return new GraphQLError(message, { ...at, extensions });
}

/** Keeps in the context what resolvers failed with, so that the request can fail as a whole. */
export const collectFailures: Plugin<GraphQLContext> = {
  onExecute({ args }) {
    return {
      onExecuteDone({ result }) {
        if (!("errors" in result) || result.errors === undefined) return;
        const causes = result.errors.map(causeOf);
        args.contextValue.failures.push(
          ...causes.filter((cause) => !isRefusal(cause) && !isGraphQLError(cause)),
        );
      },
    };
  },
};

/** What a resolver threw. */
function causeOf(error: unknown): unknown {
  return isGraphQLError(error) ? (error.cause ?? error) : error;
}

function isRefusal(cause: unknown): cause is ApiForgeError {
  return ApiForgeError.is(cause) && cause.status < 500 && !cause.retryable;
}

// By name, as Envelop does: graphql's ES and CommonJS modules have a class each.
function isGraphQLError(error: unknown): error is GraphQLError {
  return error instanceof Error && error.name === "GraphQLError";
}
