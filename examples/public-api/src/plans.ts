import type { LimitOptions } from "apiforge";

/** What a key that was registered for may do: read stations, and manage the keys of its developer. */
export const stationScope = "stations:read";
export const selfServiceScopes = [stationScope, "keys:manage"];

/** The plan of a key that somebody registered for. */
export const freePlan = "free";

/** Requests of one key by its plan, for `createForge(…, { limits: { plans } })`. */
export const publicApiPlans: Readonly<Record<string, readonly LimitOptions[]>> = {
  [freePlan]: [{ name: "free", limit: 60, per: "1m" }],
  pro: [{ name: "pro", limit: 6_000, per: "1m" }],
};
