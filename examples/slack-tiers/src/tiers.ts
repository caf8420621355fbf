/** How often a method may be called; 4 is the most often. */
export type Tier = 1 | 2 | 3 | 4;

/** Requests per minute of each tier. */
export const tierLimits: Readonly<Record<Tier, number>> = { 1: 1, 2: 20, 3: 50, 4: 100 };

/**
 * The limit of a route of `tier`: it counts each app in each workspace by itself, and each route by
 * itself, so that one that is used up leaves the others of its tier as they are.
 */
export function tierLimit(tier: Tier) {
  const by = ["credential", "route"] as const;
  return { name: `tier-${tier}`, limit: tierLimits[tier], per: "1m", by } as const;
}
