import type { SlackWebhook } from "@apiforge/connector-slack";
import type { System } from "apiforge";

import { projectMigrations } from "./migrations.ts";
import { projectRoutes } from "./routes.ts";
import { slackAlertJob } from "./slack-alert.ts";

/** The routes' types, for a client: `createClient<ProjectRoutes>()`. */
export type ProjectRoutes = ReturnType<typeof projectRoutes>;

/** The projects system: projects and their members, with an alert in Slack for each new one. */
export function projects(slack: SlackWebhook): System {
  const slackAlert = slackAlertJob(slack);
  return {
    routes: projectRoutes(slackAlert),
    jobs: [slackAlert],
    migrations: projectMigrations,
  };
}
