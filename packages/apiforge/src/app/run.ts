import { measureBuffersWithTheHeap } from "./external-memory.ts";
import type { Forge } from "./forge.ts";

/**
 * Serves until SIGTERM or SIGINT, then stops in order and exits with 0. A second signal ends the
 * process at once with 1. Resolves once requests are served, with where. The process is taken to do
 * nothing else: its collector is told how a server uses memory.
 */
export async function runForge(
  forge: Pick<Forge, "listen" | "stop">,
): Promise<{ readonly url: string }> {
  measureBuffersWithTheHeap();
  const stop = (): void => {
    process.once("SIGTERM", () => process.exit(1));
    process.once("SIGINT", () => process.exit(1));
    forge.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  const { url } = await forge.listen();
  console.log(`APIForge ready on ${url}`);
  return { url };
}
