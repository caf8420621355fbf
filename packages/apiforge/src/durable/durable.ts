import {
  durationMs,
  newId,
  systemClock,
  type Clock,
  type Duration,
  type Log,
} from "../kernel/index.ts";
import type { Store } from "../store/index.ts";
import { createBatches, type Batches } from "./batches/batches.ts";
import { Breather } from "./batches/breather.ts";
import { buryDeadChunks } from "./batches/burial.ts";
import { chunkJob } from "./batches/chunk-job.ts";
import type { BatchDefinition } from "./batches/definition.ts";
import type { ConsumerDefinition, JobDefinition } from "./definitions.ts";
import { ConsumerRunner } from "./events/consumer-runner.ts";
import type { WriteOutcome, WriteRequest } from "./execute.ts";
import { Executor } from "./executor.ts";
import { Housekeeper } from "./housekeeper.ts";
import { LeaseKeeper } from "./jobs/lease-keeper.ts";
import { QueueWorker, type WorkerParts } from "./jobs/worker.ts";
import {
  createReader,
  createTransaction,
  type Actor,
  type Reader,
  type Transaction,
} from "./transaction.ts";

const defaultConcurrency = 20;

/** What {@link createDurable} is made of. */
export interface DurableOptions {
  readonly store: Store;
  readonly log: Log;
  readonly jobs: readonly JobDefinition[];
  readonly consumers: readonly ConsumerDefinition[];
  /** Default none. */
  readonly batches?: readonly BatchDefinition[];
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Attempts per queue that run at once in this process. Default 20. */
  readonly concurrency?: number;
  /** Longest wait before another process's jobs and events are noticed. Default 1 s. */
  readonly poll?: Duration;
  /** How long answers are kept for replay. Default 24 h. */
  readonly idempotencyRetention?: Duration;
  /** How long completed jobs are kept. Default 24 h. */
  readonly completedJobRetention?: Duration;
}

/** The durable core: executes requests and runs what they left behind. */
export interface Durable {
  /** See {@link Executor.execute}. */
  execute(request: WriteRequest): Promise<WriteOutcome>;
  /** Runs `work` on one snapshot of what is on disk; of tenant tables it sees the rows of `tenant`, without one none. */
  read<T>(label: string, work: (reader: Reader) => Promise<T>, tenant?: string): Promise<T>;
  /** One commit outside of any request, for set-up and scripts. */
  transact<T>(label: string, actor: Actor, work: (tx: Transaction) => Promise<T>): Promise<T>;
  readonly batches: Batches;
  /** Recovers what a crashed process left and begins to run jobs and consumers. */
  start(): Promise<void>;
  /** Finishes running attempts within `deadlineMs`, gives back the rest. Nothing of it runs afterwards. */
  stop(deadlineMs: number): Promise<void>;
}

/**
 * Makes the durable core over an open store.
 * @throws {TypeError} when two jobs or two consumers share a name.
 */
export function createDurable(options: DurableOptions): Durable {
  return new DurableCore(options);
}

class DurableCore implements Durable {
  readonly batches: Batches;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #executor: Executor;
  readonly #workers: readonly QueueWorker[];
  readonly #consumers: readonly ConsumerRunner[];
  readonly #keeper: LeaseKeeper;
  readonly #housekeeper: Housekeeper;
  readonly #wake = (): void => {
    for (const worker of this.#workers) worker.wake();
    for (const consumer of this.#consumers) consumer.wake();
  };

  constructor(options: DurableOptions) {
    const { store, log, clock = systemClock, random = Math.random, batches = [] } = options;
    const chunkParts = { store, clock, log, random, breather: new Breather() };
    const jobs = [
      ...options.jobs,
      ...batches.map((definition) => chunkJob(definition, chunkParts)),
    ];
    const owner = newId("wrk");
    const pollMs = durationMs(options.poll ?? "1s");
    const parts: WorkerParts = {
      store,
      clock,
      log,
      owner,
      random,
      definitions: byName("job", jobs),
      onCommit: this.#wake,
    };
    byName("consumer", options.consumers);
    byName("batch", batches);
    this.#store = store;
    this.#clock = clock;
    this.batches = createBatches(store, clock);
    this.#executor = new Executor(store, clock, this.#wake);
    this.#workers = queueNames(jobs).map((queue) => {
      const { concurrency = defaultConcurrency } = options;
      return new QueueWorker(queue, { concurrency, pollMs }, parts);
    });
    this.#consumers = options.consumers.map(
      (definition) =>
        new ConsumerRunner(definition, { store, clock, log, pollMs, random, onCommit: this.#wake }),
    );
    this.#keeper = new LeaseKeeper({
      workers: store.workers,
      clock,
      log,
      owner,
      onLost: () => this.#abortAttempts(),
      onRecovered: this.#wake,
    });
    const retention = {
      idempotencyMs: durationMs(options.idempotencyRetention ?? "24h"),
      completedJobMs: durationMs(options.completedJobRetention ?? "24h"),
      everyMs: durationMs("1m"),
    };
    const bury = async (): Promise<void> => {
      await buryDeadChunks({ store, log, now: () => clock.now(), definitions: batches });
      this.#wake();
    };
    this.#housekeeper = new Housekeeper(store, clock, log, retention, bury);
  }

  execute(request: WriteRequest): Promise<WriteOutcome> {
    return this.#executor.execute(request);
  }

  read<T>(label: string, work: (reader: Reader) => Promise<T>, tenant?: string): Promise<T> {
    return this.#store.read(label, (runner) => work(createReader(runner)), tenant);
  }

  async transact<T>(
    label: string,
    actor: Actor,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const { value } = await this.#store.transact(label, (tx) =>
      work(createTransaction(tx, actor, this.#clock.now())),
    );
    this.#wake();
    return value;
  }

  async start(): Promise<void> {
    await this.#keeper.start();
    for (const worker of this.#workers) worker.start();
    for (const consumer of this.#consumers) consumer.start();
    this.#housekeeper.start();
  }

  async stop(deadlineMs: number): Promise<void> {
    await this.#housekeeper.stop();
    await Promise.all([
      ...this.#workers.map((worker) => worker.stop(deadlineMs)),
      ...this.#consumers.map((consumer) => consumer.stop()),
    ]);
    await this.#keeper.stop();
  }

  #abortAttempts(): void {
    for (const worker of this.#workers) worker.abortAll(new Error("The lease is lost"));
  }
}

function byName<D extends { readonly name: string }>(
  kind: string,
  definitions: readonly D[],
): ReadonlyMap<string, D> {
  const map = new Map(definitions.map((definition) => [definition.name, definition]));
  if (map.size === definitions.length) return map;
  const names = definitions.map((definition) => definition.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  throw new TypeError(`Two ${kind}s are called ${twice}; each needs a name of its own`);
}

function queueNames(jobs: readonly JobDefinition[]): readonly string[] {
  return [...new Set(jobs.map((job) => job.queue))];
}
