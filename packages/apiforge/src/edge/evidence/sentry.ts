import type { ErrorReporter } from "./error-hooks.ts";

/** The parts of `@sentry/node` that {@link sentryReporter} uses. */
export interface SentryClient {
  captureException(
    error: unknown,
    hint: {
      readonly tags: Record<string, string>;
      readonly user?: { readonly id: string };
    },
  ): string;
  flush(timeoutMs: number): PromiseLike<boolean>;
}

const flushMs = 2_000;

/**
 * Reports to Sentry, or to whatever takes its protocol. The application has called `Sentry.init`:
 * `sentryReporter(Sentry)` with `import * as Sentry from "@sentry/node"`.
 */
export function sentryReporter(sentry: SentryClient): ErrorReporter {
  return {
    report(error, { requestId, traceId, method, route, tenant, subject }) {
      const known = Object.entries({ requestId, traceId, method, route, tenant });
      const tags = known.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
      sentry.captureException(error, {
        tags: Object.fromEntries(tags),
        ...(subject === undefined ? {} : { user: { id: subject } }),
      });
    },
    flush: async () => sentry.flush(flushMs),
  };
}
