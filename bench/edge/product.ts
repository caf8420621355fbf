/** What every target answers. */
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly price: { readonly amount: number; readonly currency: string };
  readonly tags: readonly string[];
  readonly stock: number;
  readonly updatedAt: string;
}

const tags = ["paper", "office", "recycled"];

/** The product of `id`; a short one has no tags. */
export function productOf(id: string, detail: "full" | "short"): Product {
  return {
    id,
    name: `Product ${id}`,
    price: { amount: 1999, currency: "EUR" },
    tags: detail === "full" ? tags : [],
    stock: 42,
    updatedAt: "2026-11-28T12:00:00.000Z",
  };
}

/** JSON Schema of a {@link Product}, for those that take one. */
export const productSchema = {
  type: "object",
  required: ["id", "name", "price", "tags", "stock", "updatedAt"],
  properties: {
    id: { type: "string" },
    name: { type: "string" },
    price: {
      type: "object",
      required: ["amount", "currency"],
      properties: { amount: { type: "integer" }, currency: { type: "string" } },
    },
    tags: { type: "array", items: { type: "string" } },
    stock: { type: "integer" },
    updatedAt: { type: "string" },
  },
} as const;
