import { appError } from "../errors.ts";
import { checkSettings } from "./check-settings.ts";
import { compileGateway } from "./compile.ts";
import { describeProblems } from "./describe-problems.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import { serveGateway, type Gateway, type GatewayOptions } from "./gateway.ts";

/**
 * A server that stands in front of `config`'s upstreams; see `createForge` for what else it throws.
 * @throws {config_invalid} naming everything that is wrong with `config` and with the environment.
 */
export async function createGateway(
  config: GatewayConfig,
  options: GatewayOptions = {},
): Promise<Gateway> {
  const settings = checkSettings();
  const merged = { ...settings.config, ...options.config };
  const { gateway, problems } = compileGateway(config, merged);
  const all = [...settings.problems, ...problems];
  if (gateway === undefined || all.length > 0) {
    throw appError("config_invalid", describeProblems(all, "configuration"));
  }
  return serveGateway(gateway, merged, options);
}
