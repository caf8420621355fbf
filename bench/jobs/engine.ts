/** A job queue under test, opened in a process of its own on an empty store. */
export interface Engine {
  /** Adds `count` no-op jobs by the engine's own bulk call; resolves when they are durable. */
  addMany(count: number): Promise<void>;
  /** Adds one job; resolves when it is durable. */
  addOne(): Promise<void>;
  /** Begins to run jobs. */
  start(): Promise<void>;
  /** True once the store holds no job that waits or runs. */
  isDrained(): Promise<boolean>;
  close(): Promise<void>;
}

/** What an engine is opened with. */
export interface EngineOptions {
  /** Where its store is: a directory, a `postgres://` or a `redis://` address. */
  readonly store: string;
  /** Jobs that run at once. */
  readonly concurrency: number;
  /** Called by the handler of each job, which does nothing else. */
  readonly onJob: () => void;
}

/** Opens an engine. */
export type OpenEngine = (options: EngineOptions) => Promise<Engine>;

/** Jobs of one bulk call: what the engines' documentation recommends at most. */
const bulkJobs = 500;

/** The sizes of the bulk calls that add `count` jobs. */
export function* bulks(count: number): Generator<number> {
  for (let left = count; left > 0; left -= bulkJobs) yield Math.min(left, bulkJobs);
}
