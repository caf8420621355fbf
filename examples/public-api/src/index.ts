import type { ApiKeys, System } from "apiforge";

import type { Mailer } from "./mailer.ts";
import { publicApiMigrations } from "./migrations.ts";
import { registrationRoutes } from "./registration-routes.ts";
import { stationRoutes } from "./station-routes.ts";
import { verificationMailJob } from "./verification-mail.ts";

export { createSmtpMailer, type Mail, type Mailer, type SmtpOptions } from "./mailer.ts";
export { publicApiPlans } from "./plans.ts";

/** What the public API needs of others. */
export interface PublicApiPorts {
  readonly mailer: Mailer;
  readonly keys: Pick<ApiKeys, "issue">;
}

/** A public read-only API: stations for whoever has a key, and keys for whoever has an address. */
export function publicApi({ mailer, keys }: PublicApiPorts): System {
  const mail = verificationMailJob(mailer);
  return {
    routes: [...stationRoutes, ...registrationRoutes(mail, keys)],
    jobs: [mail],
    migrations: publicApiMigrations,
  };
}
