import cluster from "node:cluster";

import { measureBuffersWithTheHeap } from "../external-memory.ts";
import type { Served } from "../served.ts";
import type { WorkerLink } from "./worker-link.ts";

/**
 * Serves as one of a supervisor's processes: ends in order when that wants it to or is gone, and on SIGTERM and SIGINT.
 * Resolves once requests are served, with where.
 * @throws {Error} when it cannot serve requests although it has started.
 */
export async function work(
  make: () => Promise<Served>,
  link: WorkerLink,
): Promise<{ readonly url: string }> {
  measureBuffersWithTheHeap();
  const served = await make().catch(giveUp);
  let stopping: Promise<void> | undefined;
  function stop(): void {
    stopping ??= served.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  }
  function stopOnSignal(): void {
    process.once("SIGTERM", () => process.exit(1));
    process.once("SIGINT", () => process.exit(1));
    stop();
  }
  link.onEnd((order) => {
    if (order === "stop") stop();
    else served.drain().then(stop, stop);
  });
  process.once("SIGTERM", stopOnSignal);
  process.once("SIGINT", stopOnSignal);
  // A terminal that is closed sends it to all; what it means is the supervisor's affair.
  process.on("SIGHUP", () => undefined);
  const { url } = await listenWhenReady(served).catch(async (error: unknown) => {
    await served.stop();
    return giveUp(error);
  });
  // Node ends a process at once whose supervisor is gone, requests under way or not.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  process.once("disconnect", stop);
  link.serving(url);
  return { url };
}

async function listenWhenReady(served: Served): Promise<{ readonly url: string }> {
  if (await served.isReady()) return served.listen();
  throw new Error("The process has started, but is not ready");
}

/** Who catches the error may leave the end to the event loop, which the channel would keep busy. */
function giveUp(error: unknown): never {
  process.channel?.unref();
  throw error;
}
