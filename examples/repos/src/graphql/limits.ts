import {
  GraphQLError,
  Kind,
  type FieldNode,
  type SelectionNode,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
} from "graphql";

import { maxPageSize } from "./schema.ts";

/** What one document may ask for. */
export interface DocumentLimits {
  /** Levels of fields, fragments flattened. */
  readonly maxDepth: number;
  /** Fields in the answer at most: each counts once for every item of the pages that it is in. */
  readonly maxCost: number;
}

/** Levels and fields of a part of a document. */
interface Size {
  readonly depth: number;
  readonly cost: number;
}

const nothing: Size = { depth: 0, cost: 0 };

/**
 * The rule that refuses documents beyond `limits` before anything is executed. It sees no variables,
 * so that its verdict holds for every execution: a page whose size is a variable counts as the largest.
 * Introspection counts for nothing here; `MaxIntrospectionDepthRule` limits it.
 */
export function documentLimits(limits: DocumentLimits): ValidationRule {
  return function DocumentLimitsRule(context) {
    const fragments = new Map<string, Size>();
    return {
      OperationDefinition(operation) {
        const { depth, cost } = sizeOf(operation.selectionSet, context, fragments);
        if (depth > limits.maxDepth) {
          report(context, "query_too_deep", `at most ${limits.maxDepth} levels deep`);
        }
        if (cost > limits.maxCost) {
          report(context, "query_too_costly", `of at most ${limits.maxCost} fields in the answer`);
        }
      },
    };
  };
}

function report(context: ValidationContext, code: string, limit: string): void {
  const extensions = { type: "invalid_request_error", code };
  context.reportError(new GraphQLError(`Send an operation ${limit}.`, { extensions }));
}

/** `fragments` has each fragment's size, so that one that is spread often is measured once. */
function sizeOf(
  { selections }: SelectionSetNode,
  context: ValidationContext,
  fragments: Map<string, Size>,
): Size {
  let depth = 0;
  let cost = 0;
  for (const selection of selections) {
    const size = sizeOfSelection(selection, context, fragments);
    depth = Math.max(depth, size.depth);
    cost += size.cost;
  }
  return { depth, cost };
}

function sizeOfSelection(
  selection: SelectionNode,
  context: ValidationContext,
  fragments: Map<string, Size>,
): Size {
  switch (selection.kind) {
    case Kind.FIELD:
      return sizeOfField(selection, context, fragments);
    case Kind.INLINE_FRAGMENT:
      return sizeOf(selection.selectionSet, context, fragments);
    case Kind.FRAGMENT_SPREAD:
      return sizeOfFragment(selection.name.value, context, fragments);
  }
}

function sizeOfField(
  field: FieldNode,
  context: ValidationContext,
  fragments: Map<string, Size>,
): Size {
  if (field.name.value.startsWith("__")) return nothing;
  const inside =
    field.selectionSet === undefined ? nothing : sizeOf(field.selectionSet, context, fragments);
  return { depth: 1 + inside.depth, cost: itemsOf(field) * (1 + inside.cost) };
}

function sizeOfFragment(
  name: string,
  context: ValidationContext,
  fragments: Map<string, Size>,
): Size {
  const known = fragments.get(name);
  if (known !== undefined) return known;
  // A fragment within itself, which another rule refuses, ends here.
  fragments.set(name, nothing);
  const fragment = context.getFragment(name);
  const size =
    fragment === undefined || fragment === null
      ? nothing
      : sizeOf(fragment.selectionSet, context, fragments);
  fragments.set(name, size);
  return size;
}

/** Items of the page that a field is; 1 for other fields. */
function itemsOf({ name, arguments: given = [] }: FieldNode): number {
  if (name.value !== "repositories") return 1;
  const first = given.find((argument) => argument.name.value === "first")?.value;
  return first?.kind === Kind.INT ? Math.max(1, Number(first.value)) : maxPageSize;
}
