import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { benchBinaries } from "./postgres.ts";

/** Versions of the PostgreSQL and Redis that the targets run on. */
export function serviceVersions(): Record<string, string> {
  const { directory } = benchBinaries();
  return {
    postgres: versionOf(join(directory, "postgres")),
    redis: versionOf("redis-server"),
  };
}

function versionOf(command: string): string {
  return execFileSync(command, ["--version"], { encoding: "utf8" }).trim();
}
