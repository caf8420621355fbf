import type { TestProject } from "vitest/node";
import { testPostgres } from "./postgres/index.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Connection URL of a user who may create databases on the PostgreSQL of this run. */
    postgresUrl: string;
  }
}

/**
 * Gives every test file of a run one PostgreSQL; list this file under `test.globalSetup`. Returns the
 * teardown.
 * @throws Error, which fails the run, when there is no PostgreSQL to test with.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await testPostgres();
  project.provide("postgresUrl", postgres.url);
  return () => postgres.stop();
}
