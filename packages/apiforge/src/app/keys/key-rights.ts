import { forbidden, type Principal } from "../../edge/index.ts";

/** The role that may make any key of its tenant. */
export const adminRole = "admin";
/** The scope that may make keys with no more rights than its own. */
export const manageScope = "keys:manage";

/** What a key may do. */
export interface KeyRights {
  readonly role: string;
  readonly scopes: readonly string[];
  readonly plan: string | null;
}

/**
 * Refuses who would get at more than it has by making, rotating or revoking a key with `rights`.
 * @throws {forbidden} naming what is missing.
 */
export function requireRights(principal: Principal, { role, scopes, plan }: KeyRights): void {
  if (principal.role === adminRole) return;
  if (role !== "" && role !== principal.role) throw beyond("that role");
  const missing = scopes.find((scope) => !principal.scopes.includes(scope));
  if (missing !== undefined) throw beyond(`scope ${missing}`);
  if (plan !== null && plan !== principal.plan) throw beyond("that plan");
}

function beyond(what: string): Error {
  return forbidden(`You may not manage a key with ${what}, which you do not have yourself`);
}
