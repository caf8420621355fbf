import type { System } from "apiforge";

import { FirstUse } from "./graphql/first-use.ts";
import { graphqlRoutes } from "./graphql/routes.ts";
import type { Documents } from "./graphql/server.ts";
import { repoMigrations } from "./migrations.ts";
import { readRepoRoute } from "./rest-routes.ts";

/** Options of {@link repos}. */
export interface ReposOptions {
  /** Which GraphQL documents are run: `any` within the limits, or `listed` ones alone. */
  readonly documents: Documents;
}

/** The repos system: repositories by REST, which is deprecated, and by GraphQL beside it. */
export function repos({ documents }: ReposOptions): System {
  const graphql = graphqlRoutes(new FirstUse(documents));
  return {
    routes: [readRepoRoute, ...graphql.routes],
    stages: graphql.stages,
    migrations: repoMigrations,
  };
}
