import { inject } from "vitest";

/**
 * Connection URL of the PostgreSQL of this test run, for {@link createDatabase}. Only inside a run
 * whose configuration lists `global-setup.ts`.
 */
export function postgresUrl(): string {
  return inject("postgresUrl");
}
