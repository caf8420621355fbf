import { setTimeout as delay } from "node:timers/promises";
import { postOnce } from "../measure/post-once.ts";
import { median } from "../measure/statistics.ts";
import { markdownTable } from "../measure/table.ts";
import { projectBody } from "../post/measure-target.ts";
import type { Target, TargetStore } from "../post/targets/target.ts";

/** One start of a server on an empty store and one on the store that it left. */
export interface StartupRun {
  readonly target: string;
  /** Milliseconds from spawn to the end of the first 201. */
  readonly firstStartMs: number;
  readonly restartMs: number;
  /** Resident memory of the server after it was idle. */
  readonly idleResidentBytes: number;
}

/**
 * Starts `target` twice on a new store and reads its memory after `idleSeconds` without requests.
 * Throws when a first request is not answered 201.
 */
export async function measureStartup(target: Target, idleSeconds: number): Promise<StartupRun> {
  const store = await target.createStore();
  try {
    const first = await startAndStop(store, 0);
    const second = await startAndStop(store, idleSeconds);
    return {
      target: target.name,
      firstStartMs: first.firstAnswerMs,
      restartMs: second.firstAnswerMs,
      idleResidentBytes: second.residentBytes,
    };
  } finally {
    await store.dispose();
  }
}

async function startAndStop(store: TargetStore, idleSeconds: number) {
  const server = await store.startServer({ workers: true, postgresConnections: 20 });
  const status = await postOnce(`${server.origin}${server.path}`, server.token, projectBody);
  const firstAnswerMs = performance.now() - server.process.spawnedAt;
  if (status !== 201) throw new Error(`The first request was answered ${status}.`);
  await delay(idleSeconds * 1_000);
  const { residentBytes } = server.process.usage();
  await server.process.stop();
  return { firstAnswerMs, residentBytes };
}

/** Medians over the rounds, one row for each target. */
export function startupTable(all: readonly StartupRun[]): string {
  const groups = Map.groupBy(all, (run) => run.target);
  return markdownTable(
    ["target", "first start ms", "restart ms", "idle MB"],
    [...groups].map(([name, rounds]) => [
      name,
      median(rounds.map((run) => run.firstStartMs)).toFixed(0),
      median(rounds.map((run) => run.restartMs)).toFixed(0),
      (median(rounds.map((run) => run.idleResidentBytes)) / 1e6).toFixed(0),
    ]),
  );
}
