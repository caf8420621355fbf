import { sql, type Reader } from "apiforge";

/** A product as pages see it. What it cost the shop stays in the table. */
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly priceCents: number;
}

interface ProductRow {
  readonly id: string;
  readonly name: string;
  readonly category: string;
  readonly price_cents: number;
}

/** What a page of products is chosen by. */
export interface ProductPage {
  readonly category: string | undefined;
  /** Id of the last product of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

export async function listProducts(reader: Reader, page: ProductPage): Promise<Product[]> {
  const category = page.category === undefined ? sql`` : sql`and category = ${page.category}`;
  const after = page.after ?? "";
  const rows = await reader.sql<ProductRow>`
    select id, name, category, price_cents from products where id > ${after} ${category}
    order by id limit ${page.limit}`;
  return rows.map(toProduct);
}

export async function findProduct(reader: Reader, id: string): Promise<Product | undefined> {
  const [row] = await reader.sql<ProductRow>`
    select id, name, category, price_cents from products where id = ${id}`;
  return row && toProduct(row);
}

function toProduct({ id, name, category, price_cents: priceCents }: ProductRow): Product {
  return { id, name, category, priceCents };
}
