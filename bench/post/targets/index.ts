import { apiforgePostgres, apiforgeSqlite } from "./apiforge.ts";
import { peerTarget } from "./peer.ts";
import type { Target } from "./target.ts";

/** The target that the others are compared with. */
export const peerName = "peer";

/** Every target, by the name that `--targets` takes. */
export const targets: ReadonlyMap<string, Target> = new Map(
  [
    peerTarget(peerName, "everysec"),
    peerTarget("peer-redis-always", "always"),
    apiforgeSqlite,
    apiforgePostgres,
  ].map((target) => [target.name, target]),
);

/** The targets of a comma-separated list of names; throws with the known names on an unknown one. */
export function chooseTargets(names: string): Target[] {
  return names.split(",").map((name) => {
    const target = targets.get(name);
    if (target === undefined) {
      throw new Error(`Unknown target ${name}; known: ${[...targets.keys()].join(", ")}.`);
    }
    return target;
  });
}
