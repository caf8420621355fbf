import type { Durable, Reader } from "../durable/index.ts";
import type { AuthoriserOptions, Principal, Revocations } from "../edge/index.ts";
import { durationMs, type Duration } from "../kernel/index.ts";

/** What the deployment knows of a caller besides what its credential proves. */
export interface CallerContext {
  /** In place of the credential's. */
  readonly plan?: string;
  /** For handlers, as `principal.context`. */
  readonly context?: Readonly<Record<string, unknown>>;
}

/** How verified callers are remembered. */
export interface AuthoriserSettings {
  /** How long; default 300 s, at most 3600 s and never past the expiry of the credential; 0 not at all. */
  readonly cache?: Duration;
  /**
   * Looks up what handlers and limits need of every caller, such as its plan, once per credential
   * and `cache`, on a snapshot with the rows of the caller's tenant. An error thrown refuses the request. What it said ends
   * early by {@link Deployment.forgetCallers} in the commit that changes it.
   */
  readonly enrich?: (principal: Principal, reader: Reader) => Promise<CallerContext>;
}

/** As the edge takes it. */
export function authoriserOptions(
  { cache = "300s", enrich }: AuthoriserSettings,
  durable: Durable,
  revocations: Revocations,
): AuthoriserOptions {
  const remembered = { maxAgeMs: durationMs(cache), revocations };
  if (enrich === undefined) return remembered;
  return {
    ...remembered,
    enrich: async (principal) => {
      const work = (reader: Reader): Promise<CallerContext> => enrich(principal, reader);
      const { plan, context } = await durable.read("authorise", work, principal.tenant);
      return {
        ...principal,
        ...(plan === undefined ? {} : { plan }),
        ...(context === undefined ? {} : { context }),
      };
    },
  };
}
