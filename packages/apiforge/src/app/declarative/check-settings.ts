import { readSettings, type Config } from "../config.ts";
import type { ConfigProblem } from "./problem.ts";

const tooManyProcesses: ConfigProblem = {
  path: "APIFORGE_PROCESSES",
  problem: "is above 1, and the embedded database belongs to one process",
  remedy: "Set DATABASE_URL to a PostgreSQL, or APIFORGE_PROCESSES to 1.",
};

/** What the environment says, with what of it cannot be used. */
export interface CheckedSettings {
  readonly config: Config;
  readonly problems: readonly ConfigProblem[];
}

/** Reads the environment; its problems stand beside those of the file. */
export function checkSettings(): CheckedSettings {
  const { config, problems } = readSettings();
  const unusable = problems.map(({ name, expected }) => ({
    path: name,
    problem: "cannot be used",
    remedy: `Set it to ${expected}.`,
  }));
  const needsPostgres = config.processes > 1 && config.databaseUrl === undefined;
  return { config, problems: needsPostgres ? [...unusable, tooManyProcesses] : unusable };
}
