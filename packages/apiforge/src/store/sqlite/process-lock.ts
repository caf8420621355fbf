import { readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";

import { storeError } from "../errors.ts";
import { isBusy, sqliteFailure } from "./failures.ts";

/** Ends the hold on a store. */
export interface ProcessLock {
  release(): void;
}

/**
 * Makes this process the only user of the store at `path` until it releases or dies. The lock is
 * an exclusive transaction on a file of its own, which the operating system drops with the
 * process: nothing has to be cleaned up after kill -9.
 * @throws {store_locked} when another process holds it.
 */
export function lockProcess(path: string): ProcessLock {
  const lockPath = `${path}-lock`;
  const ownerPath = `${path}-owner`;
  const database = openLock(lockPath);
  try {
    database.exec("begin exclusive");
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw sqliteFailure(error);
    throw storeError(
      "store_locked",
      `The database is in use by process ${readOwner(ownerPath)}. Stop that process, set APIFORGE_DATA_DIR to another folder, or set DATABASE_URL to a PostgreSQL that many processes can share.`,
    );
  }
  writeFileSync(ownerPath, String(process.pid));
  return { release: () => database.close() };
}

function openLock(lockPath: string): DatabaseSync {
  try {
    return new DatabaseSync(lockPath, { timeout: 0 });
  } catch (error) {
    throw sqliteFailure(error);
  }
}

function readOwner(ownerPath: string): string {
  try {
    return readFileSync(ownerPath, "utf8");
  } catch {
    // The owner may be between taking the lock and writing its number.
    return "(unknown)";
  }
}
