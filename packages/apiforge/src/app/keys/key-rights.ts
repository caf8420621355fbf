import { forbidden, type KeyMode, type Principal } from "../../edge/index.ts";
import type { ApiKeyInfo } from "../../features/identity/index.ts";

/** The role that may make any key of its tenant. */
export const adminRole = "admin";
/** The scope that may make keys with no more rights than its own. */
export const manageScope = "keys:manage";

/** What a key may do. */
export interface KeyRights {
  readonly role: string;
  readonly scopes: readonly string[];
  readonly plan: string | null;
  readonly mode: KeyMode;
}

/**
 * Refuses who would get at more than it has by making, rotating or revoking a key with `rights`.
 * @throws {forbidden} naming what is missing.
 */
export function requireRights(principal: Principal, { role, scopes, plan, mode }: KeyRights): void {
  if (principal.keyMode === "test" && mode === "live") throw beyond("mode live");
  if (principal.role === adminRole) return;
  if (role !== "" && role !== principal.role) throw beyond("that role");
  const missing = scopes.find((scope) => !principal.scopes.includes(scope));
  if (missing !== undefined) throw beyond(`scope ${missing}`);
  if (plan !== null && plan !== principal.plan) throw beyond("that plan");
}

function beyond(what: string): Error {
  return forbidden(`You may not manage a key with ${what}, which you do not have yourself`);
}

/** Where a key may be used from. */
export interface KeyReach {
  readonly origins: readonly string[] | undefined;
  readonly addresses: readonly string[] | undefined;
}

/**
 * What a key that is made by `maker` may be used from: as wanted, at most from where its maker may.
 * @throws {forbidden} for a place that is not the maker's.
 */
export function reachWithin(wanted: KeyReach, maker: ApiKeyInfo | undefined): KeyReach {
  return {
    origins: within(wanted.origins, maker?.origins, "origin"),
    addresses: within(wanted.addresses, maker?.addresses, "address"),
  };
}

function within(
  wanted: readonly string[] | undefined,
  makers: readonly string[] | null | undefined,
  what: string,
): readonly string[] | undefined {
  if (makers === null || makers === undefined) return wanted;
  const beyondMaker = wanted?.find((place) => !makers.includes(place));
  if (beyondMaker !== undefined) throw beyond(`${what} ${beyondMaker}`);
  return wanted ?? makers;
}
