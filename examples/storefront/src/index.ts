import type { System } from "apiforge";

import { storefrontMigrations } from "./migrations.ts";
import { storefrontRoutes } from "./routes.ts";

/** A catalogue that the pages of three origins may read, and no others. */
export function storefront(): System {
  return { routes: storefrontRoutes, migrations: storefrontMigrations };
}
