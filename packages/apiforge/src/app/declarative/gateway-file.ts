import type { Config } from "../config.ts";
import { checkSettings } from "./create-gateway.ts";
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
    return { path, settings, gateway: undefined, problems: [...ofSettings, missing] };
  }
  const loaded = await loadConfigFile(path);
  if (loaded.problems.length > 0) {
    return { path, settings, gateway: undefined, problems: [...ofSettings, ...loaded.problems] };
  }
  const { gateway, problems } = compileGateway(loaded.value, settings);
  const all = [...ofSettings, ...problems];
  return { path, settings, gateway: all.length === 0 ? gateway : undefined, problems: all };
}
