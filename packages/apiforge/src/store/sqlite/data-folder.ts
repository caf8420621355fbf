import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

import { storeError } from "../errors.ts";

const { R_OK, W_OK, X_OK } = constants;

/**
 * Makes the folder of the database at `path` where it is missing, and asks for the rights that
 * SQLite needs: it says nothing about a file that it may only read until the first write.
 * @throws {store_misconfigured} naming the path and what to do.
 */
export function prepareFolder(path: string): void {
  const folder = dirname(path);
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, W_OK | X_OK);
    if (existsSync(path)) accessSync(path, R_OK | W_OK);
  } catch (error) {
    throw storeError(
      "store_misconfigured",
      `The database cannot be written: ${reasonOf(error)}. Give this process the right to write there, or set APIFORGE_DATA_DIR to another folder.`,
      { cause: error },
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
