import { readSettings, type Config } from "../config.ts";
import type { ConfigProblem } from "./problem.ts";

/** What the environment says, with what of it cannot be used. */
export interface CheckedSettings {
  readonly config: Config;
  readonly problems: readonly ConfigProblem[];
}

/** Reads the environment; its problems stand beside those of the file. */
export function checkSettings(): CheckedSettings {
  const { config, problems } = readSettings();
  return {
    config,
    problems: problems.map(({ name, expected }) => ({
      path: name,
      problem: "cannot be used",
      remedy: `Set it to ${expected}.`,
    })),
  };
}
