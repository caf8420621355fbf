import { readSettings } from "./config.ts";
import { appError } from "./errors.ts";
import { measureBuffersWithTheHeap } from "./external-memory.ts";
import { workerLink } from "./processes/worker-link.ts";
import type { Served } from "./served.ts";

/**
 * Serves until SIGTERM or SIGINT, then stops in order and exits with 0. A second signal ends the
 * process at once with 1. Resolves once requests are served, with where. The process is taken to do
 * nothing else: its collector is told how a server uses memory.
 *
 * Given a function that makes what is served, it runs `APIFORGE_PROCESSES` processes of this program on one
 * address: the function is called in each of them, and this process supervises them; see
 * docs/reference/processes.md. With one process, the default, the function is called here.
 * @throws {config_invalid} for several processes of what is made already.
 */
export async function runForge(
  served: Pick<Served, "listen" | "stop"> | (() => Promise<Served>),
): Promise<{ readonly url: string }> {
  const link = workerLink();
  // What of the settings cannot be used is told by what is made of them.
  const { config } = readSettings();
  if (typeof served !== "function") {
    if (config.processes > 1) throw notSeveral();
    return runAlone(served);
  }
  if (link !== undefined) {
    const { work } = await import("./processes/work.ts");
    return work(served, link);
  }
  if (config.processes === 1) return runAlone(await served());
  const { supervise } = await import("./processes/supervise.ts");
  return supervise(config);
}

function notSeveral(): Error {
  return appError(
    "config_invalid",
    "APIFORGE_PROCESSES must be 1 for this program: it makes its server before it calls runForge. Hand runForge a function that makes it.",
  );
}

async function runAlone(
  served: Pick<Served, "listen" | "stop">,
): Promise<{ readonly url: string }> {
  measureBuffersWithTheHeap();
  const stop = (): void => {
    process.once("SIGTERM", () => process.exit(1));
    process.once("SIGINT", () => process.exit(1));
    served.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  const { url } = await served.listen();
  console.log(`APIForge ready on ${url}`);
  return { url };
}
