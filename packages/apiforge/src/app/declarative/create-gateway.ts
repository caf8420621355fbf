import { createForge, type Forge, type ForgeOptions } from "../forge.ts";
import { readSettings, type Config } from "../config.ts";
import { appError } from "../errors.ts";
import { apiKeys } from "../keys/api-keys.ts";
import type { System } from "../system.ts";
import { compileGateway, type CompiledGateway } from "./compile.ts";
import { describeProblems } from "./describe-problems.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import type { ConfigProblem } from "./problem.ts";

/** What is no matter of a configuration file. */
export type GatewayOptions = Pick<ForgeOptions, "config" | "log" | "reporter" | "onError">;

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

/**
 * A server that stands in front of `config`'s upstreams; see {@link createForge} for what else it throws.
 * @throws {config_invalid} naming everything that is wrong with `config` and with the environment.
 */
export async function createGateway(
  config: GatewayConfig,
  options: GatewayOptions = {},
): Promise<Forge> {
  const settings = checkSettings();
  const merged = { ...settings.config, ...options.config };
  const { gateway, problems } = compileGateway(config, merged);
  const all = [...settings.problems, ...problems];
  if (gateway === undefined || all.length > 0) {
    throw appError("config_invalid", describeProblems(all, "configuration"));
  }
  return serveGateway(gateway, options);
}

/** A server for a configuration that was checked. */
export function serveGateway(
  gateway: CompiledGateway,
  options: GatewayOptions = {},
): Promise<Forge> {
  return createForge(systemsOf(gateway), { ...options, ...forgeOptionsOf(gateway) });
}

/** What a forge serves of a configuration. */
function systemsOf({ routes, stages, config }: CompiledGateway): readonly System[] {
  return [{ routes, stages }, ...(config.apiKeys === true ? [apiKeys()] : [])];
}

/** What a forge is told of a configuration besides. */
function forgeOptionsOf(gateway: CompiledGateway): ForgeOptions {
  const { issuers, limits, cors, config } = gateway;
  return {
    issuers,
    api: config.api ?? { title: "Gateway", version: "0.0.0" },
    ...(limits === undefined ? {} : { limits }),
    ...(cors === undefined ? {} : { cors }),
  };
}
