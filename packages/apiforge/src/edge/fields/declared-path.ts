import type { FieldNode } from "./field-tree.ts";

/**
 * Whether some value that satisfies the schema of `root` may have a field at `path`. Items of lists
 * are no steps of a path: `orders.id` is the id of every order. Below a free place everything is.
 */
export function declaresPath(root: FieldNode, path: readonly string[]): boolean {
  let nodes: readonly FieldNode[] = [root];
  for (const name of path) {
    const together = heldTogether(nodes);
    if (together.some((node) => node.isFree && !node.isScalar)) return true;
    nodes = together.flatMap((node) => namedBy(node, name));
    if (nodes.length === 0) return false;
  }
  return true;
}

/** The names that an object of `root` itself may have, those of patterns aside. */
export function declaredNames(root: FieldNode): ReadonlySet<string> {
  const held = new Set([root]);
  for (const node of held) addBranches(node, held);
  return new Set([...held].flatMap((node) => [...node.properties.keys()]));
}

/** Whether objects of `root`, or items of its lists, may have fields of a name. */
export function declaresSome(root: FieldNode): boolean {
  return heldTogether([root]).some(
    ({ properties, patterns, additional }) =>
      properties.size > 0 || patterns.length > 0 || additional !== undefined,
  );
}

/** `nodes` with the branches that may hold for their values, and with the items of lists. */
function heldTogether(nodes: readonly FieldNode[]): readonly FieldNode[] {
  const held = new Set(nodes);
  // A set goes on with what is added to it meanwhile.
  for (const node of held) {
    addBranches(node, held);
    for (const item of node.prefixItems) held.add(item);
    if (node.items !== undefined) held.add(node.items);
  }
  return [...held];
}

function addBranches(node: FieldNode, held: Set<FieldNode>): void {
  for (const part of node.always) held.add(part);
  for (const branch of node.sometimes) held.add(branch.node);
}

function namedBy(node: FieldNode, name: string): FieldNode[] {
  const named = node.patterns.filter(([pattern]) => pattern.test(name)).map(([, child]) => child);
  const property = node.properties.get(name);
  if (property !== undefined) named.push(property);
  if (named.length === 0 && node.additional !== undefined) named.push(node.additional);
  return named;
}
