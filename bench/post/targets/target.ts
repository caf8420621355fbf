import type { ServerProcess } from "../../measure/server-process.ts";

/** What a store holds after a run, counted past the server. */
export interface EffectCounts {
  readonly projects: number;
  /** Events `project.created`. */
  readonly events: number;
  /** Jobs `slack-alert` that were ever accepted. */
  readonly jobs: number;
  /** Of `jobs`, those that were run to their end. */
  readonly completedJobs: number;
  /** Idempotency keys with a recorded answer. */
  readonly keys: number;
}

/** A server of a target that answers requests. */
export interface TargetServer {
  readonly process: ServerProcess;
  readonly origin: string;
  readonly path: string;
  /** Accepted by the server for at least as long as any run takes. */
  readonly token: string;
}

/** Jobs that a server with workers runs at once, ours and the peer alike; the default of ours. */
export const jobConcurrency = 20;

/** How a server is started. */
export interface ServerOptions {
  /** Whether it runs jobs beside serving requests. */
  readonly workers: boolean;
  /** Connections of its PostgreSQL pool, where it has one. */
  readonly postgresConnections: number;
}

/** An empty store of a target, with the services that keep it. */
export interface TargetStore {
  /** Starts the server on this store; one at a time. */
  startServer(options: ServerOptions): Promise<TargetServer>;
  /** Process ids of the services beside the server: databases, caches. */
  servicePids(): readonly number[];
  /** Counts by a raw connection; call it after the server has stopped. */
  countEffects(): Promise<EffectCounts>;
  /** Stops the services and removes the data. */
  dispose(): Promise<void>;
}

/** Something that serves POST /api/projects. */
export interface Target {
  readonly name: string;
  /** What it is made of, in one sentence for the reader of a table. */
  readonly description: string;
  /** What an answered request is safe against, as its stores are set. */
  readonly durability: string;
  createStore(): Promise<TargetStore>;
}
