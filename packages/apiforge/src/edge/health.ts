import type { FastifyInstance } from "fastify";

import type { Clock, Log } from "../kernel/index.ts";

const readyTimeoutMs = 2_000;

/** Checks that the process can serve; rejects when it cannot. */
export type ReadyCheck = () => Promise<void>;

/**
 * `GET /health/live`: 200 while the process answers at all. `GET /health/ready`: 200 when `check`
 * resolves within 2 s, else 503; a load balancer then sends requests elsewhere.
 */
export function mountHealth(
  server: FastifyInstance,
  check: ReadyCheck,
  isClosing: () => boolean,
  clock: Clock,
  log: Log,
): void {
  server.get("/health/live", () => ({ status: "live" }));
  server.get("/health/ready", async (_request, reply) => {
    const isReady = !isClosing() && (await passes(check, clock, log));
    reply.code(isReady ? 200 : 503).header("cache-control", "no-store");
    if (!isReady) reply.header("retry-after", "1");
    return { status: isReady ? "ready" : "unavailable" };
  });
}

async function passes(check: ReadyCheck, clock: Clock, log: Log): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = clock.after(readyTimeoutMs, () => {
    log.warn({ timeoutMs: readyTimeoutMs }, "ready check timed out");
    resolve(false);
  });
  check().then(
    () => resolve(true),
    (error: unknown) => {
      log.warn({ err: error }, "ready check failed");
      resolve(false);
    },
  );
  const result = await promise;
  timer.cancel();
  return result;
}
