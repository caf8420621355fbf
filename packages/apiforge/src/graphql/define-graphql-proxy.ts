import { GraphQLError, Kind, parse, visit, type DocumentNode } from "graphql";
import { z } from "zod";

import type { Route } from "../edge/index.ts";
import { defineProxy, type ProxyOptions, type TransformRequest } from "../gateway/index.ts";
import { beyond, type DocumentLimits } from "./document-limits.ts";
import { SizeMeter } from "./document-size.ts";
import { graphqlError } from "./errors.ts";

/** Which documents a proxy of GraphQL lets pass. */
export interface GraphqlLimits extends DocumentLimits {
  /** Words and signs of a document at most; default 2,000. */
  readonly maxTokens?: number;
  /** Whether callers may ask for the schema (`__schema`, `__type`); default false. */
  readonly introspection?: boolean;
  /** Documents by the SHA-256 of their text in hexadecimal, which callers name in `extensions.persistedQuery.sha256Hash`. Default none. */
  readonly listed?: ReadonlyMap<string, string>;
  /** Documents that are not `listed` are refused. Default false. */
  readonly onlyListed?: boolean;
}

/** Declaration of a route whose upstream is a server of GraphQL; what is not described here is as in `defineProxy`. */
export interface GraphqlProxyOptions extends Omit<
  ProxyOptions,
  "methods" | "body" | "transformRequest" | "webSockets"
> {
  readonly graphql: GraphqlLimits;
}

const defaultMaxTokens = 2_000;
const map = z.record(z.string(), z.unknown());
// GraphQL over HTTP, section 5.3; a list of requests is none.
const parameters = z.object({
  query: z.string().nullish(),
  operationName: z.string().nullish(),
  variables: map.nullish(),
  extensions: map.nullish(),
});
const persisted = z.object({
  persistedQuery: z.object({ sha256Hash: z.string() }),
});

/**
 * Declares a `POST` whose documents are measured before their upstream gets them: how deep they are, how
 * many fields they can bring, or whether they are among those that are known. The upstream gets what was
 * checked, a known document with its text.
 * @example defineGraphqlProxy({ path: "/graphql", upstream, graphql: { maxDepth: 8, maxCost: 2_000 } })
 * @throws {TypeError} for options that cannot work.
 */
export function defineGraphqlProxy({ graphql, ...options }: GraphqlProxyOptions): Route[] {
  if (graphql.onlyListed === true && graphql.listed === undefined) {
    throw new TypeError(`${options.path}: onlyListed needs listed documents`);
  }
  return defineProxy({
    ...options,
    methods: ["POST"],
    body: parameters,
    transformRequest: checkedBy(graphql),
  });
}

function checkedBy(limits: GraphqlLimits): TransformRequest {
  const listed = new Set(limits.listed?.values());
  // A listed document is ours, and measured once.
  const measured = new Set<string>();
  return ({ body }) => {
    const given = parameters.parse(body);
    const query = documentOf(given, limits);
    if (!measured.has(query)) {
      check(query, limits);
      if (listed.has(query)) measured.add(query);
    }
    const { extensions, ...rest } = given;
    const { persistedQuery: _named, ...others } = extensions ?? {};
    const left = Object.keys(others).length === 0 ? {} : { extensions: others };
    return { body: { ...rest, ...left, query } };
  };
}

/** The text that is to be run. */
function documentOf(
  { query: given, extensions }: z.output<typeof parameters>,
  { listed, onlyListed = false }: GraphqlLimits,
): string {
  const query = given ?? undefined;
  const named = persisted.safeParse(extensions).data?.persistedQuery.sha256Hash;
  const text = named === undefined ? undefined : listed?.get(named);
  if (text !== undefined) return text;
  if (onlyListed) {
    throw query === undefined && named === undefined
      ? graphqlError("document_missing", "Send the hash of a listed document.")
      : graphqlError("document_not_listed", "Send the hash of a listed document.");
  }
  if (query !== undefined) return query;
  throw named === undefined
    ? graphqlError("document_missing", "Send a query, or the hash of a listed document.")
    : graphqlError("document_not_listed", "No listed document has this hash.");
}

function check(query: string, limits: GraphqlLimits): void {
  const document = parsed(query, limits.maxTokens ?? defaultMaxTokens);
  if (limits.introspection !== true && asksForSchema(document)) {
    throw graphqlError("introspection_refused", "The schema cannot be asked for here.");
  }
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition]] : [],
    ),
  );
  const fragmentOf = (name: string) => fragments.get(name);
  const meter = new SizeMeter({ fragmentOf, pages: limits.pages ?? {} });
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const refusal = beyond(meter.sizeOf(definition.selectionSet), limits);
    if (refusal !== undefined) throw refusal;
  }
  if (meter.hasCycle) throw graphqlError("query_invalid", "A fragment is within itself.");
}

function parsed(query: string, maxTokens: number): DocumentNode {
  try {
    return parse(query, { maxLexicalTokens: maxTokens, noLocation: true });
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    throw graphqlError("query_invalid", error.message, { cause: error });
  }
}

function asksForSchema(document: DocumentNode): boolean {
  let isAsked = false;
  visit(document, {
    Field({ name: { value } }) {
      isAsked ||= value === "__schema" || value === "__type";
    },
  });
  return isAsked;
}
