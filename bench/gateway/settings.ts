import { join } from "node:path";

/** What a target in Node is started with. */
export interface GatewaySettings {
  readonly port: number;
  /** Origin of the upstream. */
  readonly upstream: string;
  readonly folder: string;
}

/** From the environment that the bench sets. */
export function readSettings(): GatewaySettings {
  const { GATEWAY_PORT, GATEWAY_UPSTREAM, GATEWAY_FOLDER } = process.env;
  return {
    port: Number(GATEWAY_PORT),
    upstream: `http://${GATEWAY_UPSTREAM}`,
    folder: GATEWAY_FOLDER ?? "",
  };
}

/** Connections to the upstream, of every target. */
export const connections = 64;

/** The one origin that may read answers. */
export const origin = "https://shop.example.com";

/** A limit that no run reaches: what is measured is the counting. */
export const requestsPerMinute = 1_000_000_000;

/** Where a target that makes its own tokens leaves one. */
export function tokenFile(folder: string): string {
  return join(folder, "token");
}
