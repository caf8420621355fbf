import { ApiForgeError } from "../kernel/index.ts";
import type { Config } from "./config.ts";
import { appError } from "./errors.ts";

/** Codes of Node's errors that say that the address cannot be listened on. */
const addressCodes = new Set(["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "ENOTFOUND"]);

/** What kept the generated keys from being read or made, in words for the operator. */
export function keysFailure(error: unknown): unknown {
  if (ApiForgeError.is(error) || !isSystemError(error) || error.path === undefined) return error;
  return appError(
    "data_dir_unusable",
    `The generated keys cannot be kept: ${error.message}. Give this process the right to write there, or set APIFORGE_DATA_DIR to another folder.`,
    { cause: error },
  );
}

/** Why several processes cannot serve, in words for the operator. */
export function oneProcessOnly({ dataDir, processes }: Config): Error {
  return appError(
    "processes_need_postgres",
    `One process at a time uses the database in ${dataDir}, and APIFORGE_PROCESSES is ${processes}. Set DATABASE_URL to a PostgreSQL, or APIFORGE_PROCESSES to 1.`,
  );
}

/** What kept the server from listening, in words for the operator. */
export function listenFailure(error: unknown, { host, port }: Config): unknown {
  if (!isSystemError(error) || !addressCodes.has(error.code)) return error;
  return appError(
    "address_unusable",
    `Nothing can listen on ${host}:${port} now (${error.code}). Stop what uses it, or set PORT and HOST.`,
    { cause: error },
  );
}

function isSystemError(error: unknown): error is Error & { code: string; path?: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
