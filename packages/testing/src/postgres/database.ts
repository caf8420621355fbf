import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Client, escapeIdentifier } from "pg";

/** A new, empty database of one test file. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** Connection URL, as the user of the URL that made it. */
  readonly url: string;
  /**
   * Fails unless every connection to the database is closed. Call it after the code under test has
   * stopped: a connection that remains is a leak. The server takes a moment to notice that a client
   * has gone, so this asks again for up to five seconds.
   * @throws Error that lists the connections that remain.
   */
  assertNoConnections(): Promise<void>;
  /** Drops the database, and breaks connections that are still open. */
  drop(): Promise<void>;
}

// A busy machine gives a backend that is to exit its turn late.
const goneDeadlineMs = 5_000;
const askAgainMs = 20;

/**
 * Creates an empty database on the server of `adminUrl`, whose user must be allowed to. The name is
 * random, so test files that run at once do not meet.
 */
export async function createDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = `apiforge_test_${randomBytes(8).toString("hex")}`;
  // template0, because template1 may hold what somebody put into it.
  await withClient(adminUrl, (client) => {
    return client.query(`create database ${escapeIdentifier(name)} template template0`);
  });
  async function drop(): Promise<void> {
    await withClient(adminUrl, (client) => {
      return client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
    });
  }
  return {
    name,
    url: databaseUrl(adminUrl, name),
    assertNoConnections: () => assertNoConnections(adminUrl, name),
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

function databaseUrl(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

interface OpenConnection {
  readonly application: string;
  readonly state: string | null;
  readonly query: string;
}

async function assertNoConnections(adminUrl: string, name: string): Promise<void> {
  const remaining = await withClient(adminUrl, (client) => waitUntilGone(client, name));
  if (remaining.length === 0) return;
  const lines = remaining.map(({ application, state, query }) => {
    return `  ${application === "" ? "(no application_name)" : application}, ${state ?? "unknown"}: ${query}`;
  });
  throw new Error(`${lines.length} connections to ${name} are still open:\n${lines.join("\n")}`);
}

async function waitUntilGone(client: Client, name: string): Promise<OpenConnection[]> {
  const startedAt = performance.now();
  for (;;) {
    const { rows } = await client.query<OpenConnection>(
      `select application_name as application, state, left(query, 200) as query
       from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
      [name],
    );
    if (rows.length === 0 || performance.now() - startedAt > goneDeadlineMs) return rows;
    await delay(askAgainMs);
  }
}

async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, application_name: "apiforge-testing" });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
