import type { System } from "apiforge";

import { slackMigrations } from "./migrations.ts";
import { slackRoutes } from "./routes.ts";
import { listWorkspaceEvents } from "./workspace-events.ts";

/** Workspaces whose apps are limited by tiers: 1, 20, 50 or 100 requests a minute. A token's tenant is the workspace. */
export function slackTiers(): System {
  return {
    routes: slackRoutes,
    consumers: [listWorkspaceEvents],
    migrations: slackMigrations,
  };
}
