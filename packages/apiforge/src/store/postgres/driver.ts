import type { ClientConfig, Client, CustomTypesConfig, Pool, Query, types } from "pg";

import { storeError } from "../errors.ts";
import { postgresFailure } from "./failures.ts";

/** What is used of the package `pg`, which only deployments on PostgreSQL install. */
export interface PostgresDriver {
  readonly Client: typeof Client;
  readonly Pool: typeof Pool;
  readonly Query: typeof Query;
  readonly types: typeof types;
}

/**
 * Loads the driver.
 * @throws {store_misconfigured} when it is not installed.
 */
export async function loadDriver(): Promise<PostgresDriver> {
  try {
    return await import("pg");
  } catch (error) {
    if (!isMissingModule(error)) throw error;
    throw storeError(
      "store_misconfigured",
      "A PostgreSQL store needs the package pg, which is not installed. Run: npm install pg",
      { cause: error },
    );
  }
}

function isMissingModule(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
}

const int8Oid = 20;

/** The parsers of `pg`, except that a 64-bit integer is a number, or a bigint where a number would lie. */
export function columnTypes(driver: PostgresDriver): CustomTypesConfig {
  const { types } = driver;
  return {
    getTypeParser(oid, format) {
      if (oid === int8Oid && format !== "binary") return toInteger;
      return types.getTypeParser(oid, format);
    },
  };
}

function toInteger(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** Longest time to reach the server and to be let in. */
export const connectTimeoutMs = 1_000;
const keepAliveDelayMs = 10_000;

/** How every connection of a store is made. */
export function clientConfig(url: string): ClientConfig {
  return {
    connectionString: url,
    application_name: "apiforge",
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelayMs,
  };
}

/**
 * Opens one connection outside of the pool, without limits of time.
 * @throws {store_misconfigured} when the URL, the credentials or the database are wrong.
 * @throws {store_unavailable} when the server cannot be reached.
 */
export async function connectAlone(driver: PostgresDriver, url: string): Promise<Client> {
  let client: Client;
  try {
    client = new driver.Client(clientConfig(url));
  } catch (error) {
    throw storeError("store_misconfigured", "The URL of the PostgreSQL store cannot be read.", {
      cause: error,
    });
  }
  // A connection that breaks fails the call that uses it; without a listener it ends the process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw refusedLogin(error) ?? postgresFailure(error, { connectionLost: true });
  }
}

// Class 28: credentials. 3D000: no such database. https://www.postgresql.org/docs/current/errcodes-appendix.html
function refusedLogin(error: unknown): Error | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const code = String(error.code);
  if (!code.startsWith("28") && code !== "3D000") return undefined;
  return storeError(
    "store_misconfigured",
    "PostgreSQL refused the login. Check user, password and database of the store's URL.",
    { cause: error },
  );
}
