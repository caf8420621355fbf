import { once } from "node:events";
import type { Server } from "node:http";

/** What a target is started with. */
export interface EdgeSettings {
  /** Shared secret of HS256 tokens, the default of the peers' libraries. */
  readonly secret: string;
  /** The one origin that may read answers. */
  readonly origin: string;
}

/** From the environment that the bench sets. */
export function readSettings(): EdgeSettings {
  return { secret: process.env["EDGE_SECRET"] ?? "", origin: process.env["EDGE_ORIGIN"] ?? "" };
}

/** A limit that no run reaches: what is measured is the counting. */
export const requestsPerMinute = 1_000_000_000;

/** Tells the bench where `server` serves, once it does. */
export async function announceServer(server: Server): Promise<void> {
  if (!server.listening) await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No TCP address.");
  announce(`http://127.0.0.1:${address.port}`);
}

/** Tells the bench where the target serves, and with which token when it makes its own. */
export function announce(url: string, token?: string): void {
  process.send?.({ url, token });
}
