import { failures, runLoad, type Load, type LoadResult } from "../measure/load.ts";
import { treeUsage } from "../measure/process-tree.ts";
import type {
  EffectCounts,
  ServerOptions,
  Target,
  TargetServer,
  TargetStore,
} from "./targets/target.ts";

/** The request body of every load. */
export const projectBody = JSON.stringify({
  name: "Notification Service",
  status: "active",
  description: "Sends the alerts of every team to the channel that the team chose for itself.",
});

/** How a target is loaded. */
export interface Measurement {
  readonly connections: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly server: ServerOptions;
}

/** What one load of one target on one empty store gave. */
export interface TargetRun {
  readonly target: string;
  readonly connections: number;
  /** Whether the server ran the jobs beside the requests. */
  readonly workers: boolean;
  readonly warmUp: LoadResult;
  readonly load: LoadResult;
  /** Of the server process, during the load; memory at its end. */
  readonly serverCpuMs: number;
  readonly serverResidentBytes: number;
  /** Of databases and caches beside it. */
  readonly servicesCpuMs: number;
  readonly servicesResidentBytes: number;
  /** Counted after the stop that follows the load at once: jobs that are not completed are backlog. */
  readonly effects: EffectCounts;
  /** How many answered requests lack a row of some kind; anything but 0 is a broken promise. */
  readonly missingEffects: number;
}

/** Loads `target` on a new, empty store and counts the rows past the server afterwards. */
export async function measureTarget(target: Target, options: Measurement): Promise<TargetRun> {
  const store = await target.createStore();
  try {
    return await measureOnStore(target.name, store, options, noEffects);
  } finally {
    await store.dispose();
  }
}

const noEffects: EffectCounts = { projects: 0, events: 0, jobs: 0, completedJobs: 0, keys: 0 };

/** As {@link measureTarget} on a store that exists; `present` is what it holds already. */
export async function measureOnStore(
  target: string,
  store: TargetStore,
  options: Measurement,
  present: EffectCounts,
): Promise<TargetRun> {
  const server = await store.startServer(options.server);
  const load = loadOn(server, options);
  const warmUp = await runLoad({ ...load, seconds: options.warmUpSeconds });
  const before = { server: server.process.usage(), services: treeUsage(store.servicePids()) };
  const result = await runLoad(load);
  const after = { server: server.process.usage(), services: treeUsage(store.servicePids()) };
  await server.process.stop();
  const effects = await store.countEffects();
  return {
    target,
    connections: options.connections,
    workers: options.server.workers,
    warmUp,
    load: result,
    serverCpuMs: after.server.cpuMs - before.server.cpuMs,
    serverResidentBytes: after.server.residentBytes,
    servicesCpuMs: after.services.cpuMs - before.services.cpuMs,
    servicesResidentBytes: after.services.residentBytes,
    effects,
    missingEffects: missingEffects(warmUp.requests + result.requests, present, effects, [
      warmUp,
      result,
    ]),
  };
}

function loadOn(server: TargetServer, options: Measurement): Load {
  return {
    origin: server.origin,
    path: server.path,
    token: server.token,
    body: projectBody,
    connections: options.connections,
    seconds: options.seconds,
  };
}

function missingEffects(
  answered: number,
  present: EffectCounts,
  effects: EffectCounts,
  loads: readonly LoadResult[],
): number {
  const failed = loads.reduce((sum, load) => sum + failures(load), 0);
  const acknowledged = answered - failed;
  const added = [
    effects.projects - present.projects,
    effects.events - present.events,
    effects.jobs - present.jobs,
    effects.keys - present.keys,
  ];
  return Math.max(0, acknowledged - Math.min(...added));
}
