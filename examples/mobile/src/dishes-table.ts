import type { Reader } from "apiforge";

/** A dish as users see it. What it costs the kitchen stays in the table. */
export interface Dish {
  readonly id: string;
  readonly name: string;
  readonly priceCents: number;
}

interface DishRow {
  readonly id: string;
  readonly name: string;
  readonly price_cents: number;
}

export async function listDishes(reader: Reader): Promise<Dish[]> {
  const rows = await reader.sql<DishRow>`
    select id, name, price_cents from mobile_dishes order by name`;
  return rows.map(toDish);
}

export async function findDish(reader: Reader, id: string): Promise<Dish | undefined> {
  const [row] = await reader.sql<DishRow>`
    select id, name, price_cents from mobile_dishes where id = ${id}`;
  return row && toDish(row);
}

function toDish({ id, name, price_cents: priceCents }: DishRow): Dish {
  return { id, name, priceCents };
}
