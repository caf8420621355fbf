import type { RelayBackend } from "../edge/index.ts";
import type { Upstream } from "./upstream.ts";

/** All upstreams of one route, as the one backend that a server opens and closes. */
export function together(upstreams: readonly Upstream[]): RelayBackend {
  const all = [...new Set(upstreams)];
  const [only] = all;
  if (only !== undefined && all.length === 1) return only;
  return {
    members: all,
    open() {
      for (const upstream of all) upstream.open();
    },
    async close() {
      await Promise.all(all.map((upstream) => upstream.close()));
    },
  };
}
