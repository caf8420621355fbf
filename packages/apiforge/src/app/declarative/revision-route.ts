import { z } from "zod";

import { defineRoute, type Route } from "../../edge/index.ts";
import type { Upstream } from "../../gateway/index.ts";
import type { ConfigProblem } from "./problem.ts";
import { revisionPath, type Revision } from "./revision.ts";

const revision = z.object({
  number: z.int(),
  digest: z.string(),
  activatedAt: z.iso.datetime(),
});

const reply = z.object({
  revision,
  /** What a rollback leads to. */
  previous: revision.optional(),
  /** The last change that was refused since this revision was activated. */
  refused: z
    .object({
      at: z.iso.datetime(),
      problems: z.array(z.object({ path: z.string(), problem: z.string(), remedy: z.string() })),
    })
    .optional(),
  upstreams: z.array(
    z.object({
      name: z.string(),
      endpoints: z.array(
        z.object({
          url: z.string(),
          state: z.enum(["closed", "open", "half-open"]),
          isWell: z.boolean(),
          pending: z.int(),
        }),
      ),
    }),
  ),
});

/** What {@link revisionRoute} shows. */
export interface GatewayState {
  readonly revision: Revision;
  readonly previous: Revision | undefined;
  readonly refused:
    | { readonly at: number; readonly problems: readonly ConfigProblem[] }
    | undefined;
  readonly upstreams: ReadonlyMap<string, Upstream>;
}

/** `GET /v1/revision`: which configuration is served, for administrators. */
export function revisionRoute(stateNow: () => GatewayState): Route {
  return defineRoute({
    method: "GET",
    path: revisionPath,
    roles: ["admin"],
    transaction: "none",
    summary: "The configuration that is served",
    replies: { 200: reply },
    handler() {
      const { revision: now, previous, refused, upstreams } = stateNow();
      return {
        status: 200,
        body: {
          revision: shown(now),
          ...(previous && { previous: shown(previous) }),
          ...(refused && { refused: { ...refused, at: iso(refused.at) } }),
          upstreams: [...upstreams].map(([name, { states }]) => ({ name, endpoints: states })),
        },
      };
    },
  });
}

function shown({ number, digest, activatedAt }: Revision) {
  return { number, digest, activatedAt: iso(activatedAt) };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
