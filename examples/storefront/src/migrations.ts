import { defineMigration } from "apiforge";

/** The catalogue with its first products, which belong to no tenant: every page shows them. */
export const storefrontMigrations = [
  defineMigration(
    "storefront-0001",
    `
    create table products (
      id text primary key,
      name text not null,
      category text not null,
      price_cents integer not null,
      cost_cents integer not null
    );
    insert into products (id, name, category, price_cents, cost_cents) values
      ('prod_lamp', 'Desk lamp', 'office', 4900, 2100),
      ('prod_mug', 'Enamel mug', 'kitchen', 1400, 380),
      ('prod_notebook', 'Notebook', 'office', 900, 310),
      ('prod_scarf', 'Wool scarf', 'clothing', 3900, 1650);
  `,
  ),
];
