import type {
  BatchDefinition,
  ConsumerDefinition,
  JobDefinition,
  ScheduleDefinition,
} from "../durable/index.ts";
import type { PlacedStage, Route } from "../edge/index.ts";
import type { Migration } from "../store/index.ts";
import type { Deployment } from "./deployment.ts";

/** One system that a forge serves: its routes with the work that they leave behind. */
export interface System {
  readonly routes?: readonly Route[];
  /** For the routes of all systems; see {@link stage}. */
  readonly stages?: readonly PlacedStage[];
  readonly jobs?: readonly JobDefinition[];
  readonly consumers?: readonly ConsumerDefinition[];
  readonly batches?: readonly BatchDefinition[];
  /** Each enqueues a job that one of the systems lists. */
  readonly schedules?: readonly ScheduleDefinition[];
  /** Applied after APIForge's own and those of the systems before it. Names are unique across systems. */
  readonly migrations?: readonly Migration[];
  /** Told of the deployment before anything of the system runs. */
  readonly open?: (deployment: Deployment) => void;
}

/** All systems as one. */
export function mergeSystems(systems: readonly System[]): Required<System> {
  return {
    routes: systems.flatMap((system) => system.routes ?? []),
    stages: systems.flatMap((system) => system.stages ?? []),
    jobs: systems.flatMap((system) => system.jobs ?? []),
    consumers: systems.flatMap((system) => system.consumers ?? []),
    batches: systems.flatMap((system) => system.batches ?? []),
    schedules: systems.flatMap((system) => system.schedules ?? []),
    migrations: systems.flatMap((system) => system.migrations ?? []),
    open: (deployment) => {
      for (const system of systems) system.open?.(deployment);
    },
  };
}

/**
 * A migration whose text is the same on both stores, or differs where `postgres` is given. Of its
 * {@link Migration.tenantTables} handlers, consumers and jobs see their own tenant's rows only.
 */
export function defineMigration(name: string, sql: string | Omit<Migration, "name">): Migration {
  return typeof sql === "string" ? { name, sqlite: sql, postgres: sql } : { name, ...sql };
}
