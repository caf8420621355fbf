import { randomBytes } from "node:crypto";

import type { ProxyErrorType } from "./failure.ts";

/**
 * This process in `Via` (RFC 9110 section 7.6.3), `Forwarded` and `Proxy-Status`. Two deployments in
 * a row must not look like one that asks itself, so it is drawn anew for each process; a request that
 * goes round through other nodes has been here when it comes back.
 */
export const pseudonym = `apiforge-${randomBytes(4).toString("hex")}`;

/** What this process adds to `Via`. */
export const viaMember = `1.1 ${pseudonym}`;

/** `Proxy-Status` (RFC 9209) of a request that this process could not have answered. */
export function proxyStatus(error: ProxyErrorType): string {
  return `${pseudonym}; error=${error}`;
}

/** On every copy of a request, so that whoever gets one can tell. */
export const shadowField = "x-shadow-request";

/** nginx' own status, known to whoever reads logs: the client went before its answer. */
export const clientGone = 499;
