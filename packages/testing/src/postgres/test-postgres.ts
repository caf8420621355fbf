import { Client } from "pg";
import { startPostgres } from "./server.ts";

/** The PostgreSQL of a test run. */
export interface TestPostgres {
  /** Connection URL of a user who may create databases. */
  readonly url: string;
  /** Stops the server if it was started for the tests. */
  stop(): Promise<void>;
}

/**
 * The server of `APIFORGE_TEST_PG_URL` when that is set, else a temporary one without fsync. Tests
 * that stop or restart the server call {@link startPostgres} instead.
 * @throws Error when `APIFORGE_TEST_PG_URL` is set and cannot be used, or no server can be started.
 */
export async function testPostgres(): Promise<TestPostgres> {
  const given = process.env["APIFORGE_TEST_PG_URL"];
  if (given === undefined || given === "") return startPostgres({ fsync: false });
  await assertUsable(given);
  return { url: given, stop: () => Promise.resolve() };
}

async function assertUsable(url: string): Promise<void> {
  let allowed: boolean | undefined;
  try {
    allowed = await mayCreateDatabases(url);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "unknown reason";
    throw new Error(
      `APIFORGE_TEST_PG_URL is set, but its server cannot be used: ${reason}. ` +
        "Correct it, or unset it to have the tests start a PostgreSQL of their own.",
      { cause: error },
    );
  }
  if (allowed !== true) {
    throw new Error(
      "The user of APIFORGE_TEST_PG_URL may not create databases: alter role … createdb",
    );
  }
}

async function mayCreateDatabases(url: string): Promise<boolean | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    const { rows } = await client.query<{ allowed: boolean }>(
      "select rolcreatedb or rolsuper as allowed from pg_roles where rolname = current_user",
    );
    return rows[0]?.allowed;
  } finally {
    await client.end();
  }
}
