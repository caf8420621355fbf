import {
  Kind,
  type FieldNode,
  type FragmentDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from "graphql";

/** Levels of fields of a part of a document, and how many fields its answer has at most. */
export interface DocumentSize {
  readonly depth: number;
  readonly cost: number;
}

/** What a document is measured with. */
export interface Measures {
  readonly fragmentOf: (name: string) => FragmentDefinitionNode | null | undefined;
  /** Fields that are pages, with the size of their largest. */
  readonly pages: Readonly<Record<string, number>>;
}

const nothing: DocumentSize = { depth: 0, cost: 0 };
const pageArguments: ReadonlySet<string> = new Set(["first", "last", "limit"]);

/**
 * Measures selections without their variables, so that what it says holds for every execution: a page
 * whose size is a variable counts as the largest. Introspection counts for nothing.
 */
export class SizeMeter {
  /** A fragment is within itself, so the document has no size and no sense. */
  hasCycle = false;
  readonly #measures: Measures;
  /** One that is spread often is measured once. */
  readonly #fragments = new Map<string, DocumentSize | "open">();

  constructor(measures: Measures) {
    this.#measures = measures;
  }

  sizeOf({ selections }: SelectionSetNode): DocumentSize {
    let depth = 0;
    let cost = 0;
    for (const selection of selections) {
      const size = this.#sizeOfSelection(selection);
      depth = Math.max(depth, size.depth);
      cost += size.cost;
    }
    return { depth, cost };
  }

  #sizeOfSelection(selection: SelectionNode): DocumentSize {
    switch (selection.kind) {
      case Kind.FIELD:
        return this.#sizeOfField(selection);
      case Kind.INLINE_FRAGMENT:
        return this.sizeOf(selection.selectionSet);
      case Kind.FRAGMENT_SPREAD:
        return this.#sizeOfFragment(selection.name.value);
    }
  }

  #sizeOfField(field: FieldNode): DocumentSize {
    if (field.name.value.startsWith("__")) return nothing;
    const inside = field.selectionSet === undefined ? nothing : this.sizeOf(field.selectionSet);
    return { depth: 1 + inside.depth, cost: this.#itemsOf(field) * (1 + inside.cost) };
  }

  #sizeOfFragment(name: string): DocumentSize {
    const known = this.#fragments.get(name);
    if (known === "open") this.hasCycle = true;
    if (known !== undefined) return known === "open" ? nothing : known;
    this.#fragments.set(name, "open");
    const fragment = this.#measures.fragmentOf(name);
    const size = fragment ? this.sizeOf(fragment.selectionSet) : nothing;
    this.#fragments.set(name, size);
    return size;
  }

  /** Items of the page that a field is; 1 for other fields. */
  #itemsOf({ name, arguments: given = [] }: FieldNode): number {
    const { pages } = this.#measures;
    const largest = Object.hasOwn(pages, name.value) ? pages[name.value] : undefined;
    if (largest === undefined) return 1;
    const sizes = given.filter((argument) => pageArguments.has(argument.name.value));
    const items = sizes.map(({ value }) =>
      value.kind === Kind.INT ? Math.max(1, Number(value.value)) : largest,
    );
    return items.length === 0 ? largest : Math.max(...items);
  }
}
