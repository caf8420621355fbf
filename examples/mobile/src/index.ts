import type { System } from "apiforge";

import { codeMessageJob } from "./code-message.ts";
import { homeRoute } from "./home-route.ts";
import { logInRoutes } from "./log-in-routes.ts";
import { mobileMigrations } from "./migrations.ts";
import { tellOfOrders } from "./notices.ts";
import { orderRoutes } from "./order-routes.ts";
import type { MobilePorts } from "./ports.ts";
import { profileRoute } from "./profile-route.ts";
import { sessionRoute } from "./session-route.ts";

/**
 * The backend of an app that orders dishes: one request for each screen, and a log-in that lasts.
 * Each user is a tenant of his own, so no query can show him another's orders.
 */
export function mobile({ texts, tokens }: MobilePorts): System {
  const codeMessage = codeMessageJob(texts);
  return {
    routes: [
      ...logInRoutes(codeMessage, tokens),
      sessionRoute(tokens),
      homeRoute,
      profileRoute,
      ...orderRoutes,
    ],
    jobs: [codeMessage],
    consumers: [tellOfOrders],
    migrations: mobileMigrations,
  };
}
