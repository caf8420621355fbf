import type { Config } from "../config.ts";
import { checkSettings } from "./check-settings.ts";
import { compileGateway, type CompiledGateway } from "./compile.ts";
import { findConfigFile, loadConfigFile } from "./load.ts";
import type { ConfigProblem } from "./problem.ts";

/** A configuration file as it was found. */
export interface GatewayFile {
  /** Undefined when there is none. */
  readonly path: string | undefined;
  readonly settings: Config;
  /** Undefined when something is wrong. */
  readonly gateway: CompiledGateway | undefined;
  /** Of the environment and of the file, all of them. */
  readonly problems: readonly ConfigProblem[];
  /** Of the content of the file and of what it imports; empty where there is none. */
  readonly digest: string;
  /** It and what it imports by relative paths. */
  readonly files: readonly string[];
}

/** Finds, loads and checks a configuration file, and starts nothing. */
export async function readGatewayFile(
  given: string | undefined,
  folder: string = process.cwd(),
): Promise<GatewayFile> {
  const { config: settings, problems: ofSettings } = checkSettings();
  const path = await findConfigFile(given, folder);
  if (path === undefined) {
    const missing = {
      path: "",
      problem: given === undefined ? "has no apiforge.config.ts" : "is not there",
      remedy: "Write one, or name it with --config.",
    };
    const problems = [...ofSettings, missing];
    return { path, settings, gateway: undefined, problems, digest: "", files: [] };
  }
  const { value, digest, files, problems: ofFile } = await loadConfigFile(path);
  const compiled =
    ofFile.length > 0 ? { gateway: undefined, problems: ofFile } : compileGateway(value, settings);
  const problems = [...ofSettings, ...compiled.problems];
  const gateway = problems.length === 0 ? compiled.gateway : undefined;
  return { path, settings, gateway, problems, digest, files };
}
