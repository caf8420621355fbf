import { GraphQLError, type ValidationContext, type ValidationRule } from "graphql";

import type { ApiForgeError } from "../kernel/index.ts";
import { SizeMeter, type DocumentSize } from "./document-size.ts";
import { graphqlError } from "./errors.ts";

/** What one document may ask for. */
export interface DocumentLimits {
  /** Levels of fields, fragments flattened. */
  readonly maxDepth: number;
  /** Fields in the answer at most: each counts once for every item of the pages that it is in. */
  readonly maxCost: number;
  /**
   * Fields that are pages, by name, with the size of their largest. The `first`, `last` or `limit` of a field
   * says how large its page is; the largest counts where none does, or a variable. Default none: every field is one.
   */
  readonly pages?: Readonly<Record<string, number>>;
}

/** What is beyond `limits` in an operation of `size`; undefined when nothing is. */
export function beyond(
  { depth, cost }: DocumentSize,
  { maxDepth, maxCost }: DocumentLimits,
): ApiForgeError | undefined {
  if (depth > maxDepth) {
    return graphqlError("query_too_deep", `Send an operation at most ${maxDepth} levels deep.`);
  }
  return cost > maxCost
    ? graphqlError(
        "query_too_costly",
        `Send an operation of at most ${maxCost} fields in the answer.`,
      )
    : undefined;
}

/**
 * The rule that refuses documents beyond `limits` before anything is executed, for servers of GraphQL.
 * Introspection counts for nothing here; `MaxIntrospectionDepthRule` of `graphql` limits it.
 */
export function documentLimits(limits: DocumentLimits): ValidationRule {
  return function DocumentLimitsRule(context) {
    const fragmentOf = (name: string) => context.getFragment(name);
    const meter = new SizeMeter({ fragmentOf, pages: limits.pages ?? {} });
    return {
      OperationDefinition({ selectionSet }) {
        // A cycle is another rule's to refuse.
        const refusal = beyond(meter.sizeOf(selectionSet), limits);
        if (refusal !== undefined) report(context, refusal);
      },
    };
  };
}

function report(context: ValidationContext, { message, code, type }: ApiForgeError): void {
  context.reportError(new GraphQLError(message, { extensions: { type, code } }));
}
