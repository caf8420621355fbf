import { apiforgePostgres, apiforgeSqlite } from "./apiforge.ts";
import { bareSqlite } from "./bare.ts";
import { peerTarget } from "./peer.ts";
import type { Target } from "./target.ts";

/** The target that the table compares the others with. */
export const peerName = "peer";
/** The forms of the peer, of which `peer` is what its parts' documentation teaches. */
export const peerNames: readonly string[] = [peerName, "peer-tuned", "peer-redis-always"];

/** Every target, by the name that `--targets` takes. */
export const targets: ReadonlyMap<string, Target> = new Map(
  [
    peerTarget({ name: peerName, store: "transaction", appendfsync: "everysec" }),
    peerTarget({ name: "peer-tuned", store: "single-statement", appendfsync: "everysec" }),
    peerTarget({ name: "peer-redis-always", store: "transaction", appendfsync: "always" }),
    apiforgeSqlite,
    apiforgePostgres,
    bareSqlite,
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
