import { systemClock, type Metric } from "../../kernel/index.ts";
import type { Config } from "../config.ts";
import { openLogs } from "../log.ts";
import { openFork } from "./fork.ts";
import { gatherMetrics } from "./gather-metrics.ts";
import type { Question } from "./messages.ts";
import { RevisionNumbers } from "./revision-numbers.ts";
import { Supervisor } from "./supervisor.ts";

/** Longest interval of Node's timers. */
const forEverMs = 2_147_483_647;

/**
 * Keeps `config.processes` processes of this program running, which serve one address together, and opens nothing
 * of theirs: SIGTERM and SIGINT end them in order and then this process, a second one at once; SIGHUP replaces
 * them one after the other. Resolves once they serve; a first process that does not come up ends this one
 * with its exit code.
 */
export async function supervise(config: Config): Promise<{ readonly url: string }> {
  const { log } = openLogs(config, undefined);
  const revisions = new RevisionNumbers();
  let gathering: Promise<readonly Metric[]> | undefined;
  function answer(question: Question): unknown {
    if (question.kind === "revision") return revisions.of(question.digest);
    gathering ??= gather().finally(() => (gathering = undefined));
    return gathering;
  }
  const supervisor = new Supervisor({
    count: config.processes,
    fork: openFork(answer),
    clock: systemClock,
    log,
  });
  async function gather(): Promise<readonly Metric[]> {
    return [...supervisor.metrics(), ...(await gatherMetrics(supervisor.serving, systemClock))];
  }

  // All processes may be gone for a while, and the clock's timers keep nobody alive.
  setInterval(() => undefined, forEverMs);
  let stopping: Promise<void> | undefined;
  function stop(): void {
    stopping ??= supervisor.stop().then((isInOrder) => process.exit(isInOrder ? 0 : 1));
    const endAtOnce = (): void => {
      supervisor.kill();
      process.exit(1);
    };
    process.once("SIGTERM", endAtOnce);
    process.once("SIGINT", endAtOnce);
  }
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  const starting = supervisor.start();
  process.on("SIGHUP", () => void starting.then(() => supervisor.restart()));
  const started = await starting;
  await stopping;
  // It has said why.
  if ("ending" in started) process.exit(started.ending.code || 1);
  console.log(`APIForge ready on ${started.url}`);
  return { url: started.url };
}
