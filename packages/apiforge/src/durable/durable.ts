import {
  durationMs,
  newId,
  systemClock,
  type Clock,
  type Duration,
  type Log,
  type Metric,
} from "../kernel/index.ts";
import { registeredTracer } from "../resilience/index.ts";
import type { Store } from "../store/index.ts";
import { AuditSealer } from "./audit/sealer.ts";
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
import { AttemptCounts } from "./jobs/attempt-counts.ts";
import { LeaseKeeper } from "./jobs/lease-keeper.ts";
import { Slots, type QueueSlots } from "./jobs/slots.ts";
import { QueueWorker, type WorkerParts } from "./jobs/worker.ts";
import { durableMetrics } from "./metrics.ts";
import {
  createJobManagement,
  createQueueManagement,
  type JobManagement,
  type QueueManagement,
} from "./management.ts";
import type { ScheduleDefinition } from "./schedules/definition.ts";
import { Scheduler } from "./schedules/scheduler.ts";
import { createSchedules, type Schedules } from "./schedules/schedules.ts";
import { ScheduleTurns } from "./schedules/turn.ts";
import {
  createReader,
  createTransaction,
  type Actor,
  type Reader,
  type Transaction,
} from "./transaction.ts";
import { UpstreamCalls } from "./upstream-calls.ts";

const defaultConcurrency = 20;

/** What {@link createDurable} is made of. */
export interface DurableOptions {
  readonly store: Store;
  readonly log: Log;
  readonly jobs: readonly JobDefinition[];
  readonly consumers: readonly ConsumerDefinition[];
  /** Default none. */
  readonly batches?: readonly BatchDefinition[];
  /** Each enqueues one of `jobs`. Default none. */
  readonly schedules?: readonly ScheduleDefinition[];
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Attempts per queue that run at once in this process. Default 20. */
  readonly concurrency?: number;
  /** Attempts of all queues that run at once in this process. Default no limit but the queues' own. */
  readonly totalConcurrency?: number;
  /** What differs for single queues, by name. */
  readonly queues?: Readonly<Record<string, QueueSettings>>;
  /** Longest wait before another process's jobs and events are noticed. Default 1 s. */
  readonly poll?: Duration;
  /** How long answers are kept for replay. Default 24 h. */
  readonly idempotencyRetention?: Duration;
  /** How long completed jobs are kept. Default 24 h. */
  readonly completedJobRetention?: Duration;
  /** How long ticks of schedules are kept. Default 7 days. */
  readonly tickRetention?: Duration;
  /** How long events stay in the log, for readers who are behind. Default 7 days. */
  readonly eventRetention?: Duration;
}

/** How many slots of a process a queue has. */
export interface QueueSettings {
  /** In place of {@link DurableOptions.concurrency}. */
  readonly concurrency?: number;
  /** Slots out of the total that only this queue uses, so that it always has headroom. Default 0. */
  readonly reserved?: number;
}

/** The durable core: executes requests and runs what they left behind. */
export interface Durable {
  /** Looks at schedules and handles them. */
  readonly schedules: Schedules;
  /** See {@link Executor.execute}. */
  execute(request: WriteRequest): Promise<WriteOutcome>;
  /** Runs `work` on one snapshot of what is on disk; of tenant tables it sees the rows of `tenant`, without one none. */
  read<T>(label: string, work: (reader: Reader) => Promise<T>, tenant?: string): Promise<T>;
  /** One commit outside of any request, for set-up and scripts. */
  transact<T>(label: string, actor: Actor, work: (tx: Transaction) => Promise<T>): Promise<T>;
  readonly batches: Batches;
  readonly upstreamCalls: UpstreamCalls;
  readonly jobs: JobManagement;
  readonly queues: QueueManagement;
  /** What waits and what was done, for an operator to watch. */
  metrics(): Promise<readonly Metric[]>;
  /** Recovers what a crashed process left and begins to run jobs, consumers and schedules. */
  start(): Promise<void>;
  /** Finishes running attempts within `deadlineMs`, gives back the rest. Nothing of it runs afterwards. */
  stop(deadlineMs: number): Promise<void>;
}

/**
 * Makes the durable core over an open store.
 * @throws {TypeError} when two jobs, consumers or schedules share a name, or the job of a schedule is missing.
 * @throws {RangeError} when more slots are reserved than there are.
 */
export function createDurable(options: DurableOptions): Durable {
  return new DurableCore(options);
}

class DurableCore implements Durable {
  readonly batches: Batches;
  readonly upstreamCalls: UpstreamCalls;
  readonly jobs: JobManagement;
  readonly queues: QueueManagement;
  readonly schedules: Schedules;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #executor: Executor;
  readonly #breather: Breather;
  readonly #workers: readonly QueueWorker[];
  readonly #consumers: readonly ConsumerRunner[];
  readonly #scheduler: Scheduler;
  readonly #keeper: LeaseKeeper;
  readonly #housekeeper: Housekeeper;
  readonly #sealer: AuditSealer;
  readonly #attempts = new AttemptCounts();
  readonly #wake = (): void => {
    for (const worker of this.#workers) worker.wake();
    for (const consumer of this.#consumers) consumer.wake();
  };

  constructor(options: DurableOptions) {
    const { store, log, clock = systemClock, random = Math.random, batches = [] } = options;
    this.#breather = new Breather(clock);
    const chunkParts = { store, clock, log, random, breather: this.#breather };
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
      attempts: this.#attempts,
      tracer: registeredTracer(),
      onCommit: this.#wake,
      slots: slotsOf(queueNames(jobs), options),
      onSlotFree: () => {
        // Without a total no queue waits for another's slot.
        if (options.totalConcurrency === undefined) return;
        for (const worker of this.#workers) worker.resume();
      },
    };
    byName("consumer", options.consumers);
    byName("batch", batches);
    this.#store = store;
    this.#clock = clock;
    this.batches = createBatches(store, clock, this.#breather);
    this.upstreamCalls = new UpstreamCalls(store, clock, log);
    this.#executor = new Executor(store, clock, this.#wake);
    this.#workers = queueNames(jobs).map((queue) => {
      const { concurrency } = queueSlots(queue, options);
      return new QueueWorker(queue, { concurrency, pollMs }, parts);
    });
    this.#consumers = options.consumers.map(
      (definition) =>
        new ConsumerRunner(definition, { store, clock, log, pollMs, random, onCommit: this.#wake }),
    );
    const definitions = byName("schedule", options.schedules ?? []);
    requireJobs(definitions, parts.definitions);
    const turns = new ScheduleTurns(store, clock, this.#wake);
    this.schedules = createSchedules({ store, clock, turns, definitions, onCommit: this.#wake });
    this.#scheduler = new Scheduler({
      store,
      clock,
      log,
      pollMs,
      random,
      turns,
      definitions: [...definitions.values()],
    });
    this.#sealer = new AuditSealer({ store, clock, log, pollMs, random });
    this.#keeper = new LeaseKeeper({
      workers: store.workers,
      jobs: store.jobs,
      clock,
      log,
      owner,
      onLost: () => this.#abortAttempts(),
      onRecovered: this.#wake,
      onCancelled: (ids) => this.#cancel(ids),
    });
    const management = { store, workers: this.#workers, wake: this.#wake };
    this.jobs = createJobManagement(management);
    this.queues = createQueueManagement(management);
    const retention = {
      idempotencyMs: durationMs(options.idempotencyRetention ?? "24h"),
      completedJobMs: durationMs(options.completedJobRetention ?? "24h"),
      tickMs: durationMs(options.tickRetention ?? "7d"),
      eventMs: durationMs(options.eventRetention ?? "7d"),
      everyMs: durationMs("1m"),
    };
    const bury = async (): Promise<void> => {
      await buryDeadChunks({ store, log, now: () => clock.now(), definitions: batches });
      this.#wake();
    };
    this.#housekeeper = new Housekeeper(store, clock, log, retention, bury);
  }

  execute(request: WriteRequest): Promise<WriteOutcome> {
    const outcome = this.#executor.execute(request);
    // One that takes in a body lasts as long as its sender sends.
    return request.prepare === undefined ? this.#breather.before(outcome) : outcome;
  }

  read<T>(label: string, work: (reader: Reader) => Promise<T>, tenant?: string): Promise<T> {
    const reading = this.#store.read(label, (runner) => work(createReader(runner)), tenant);
    return this.#breather.before(reading);
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

  metrics(): Promise<readonly Metric[]> {
    return durableMetrics(this.#store, this.#attempts);
  }

  async start(): Promise<void> {
    await this.#keeper.start();
    for (const worker of this.#workers) worker.start();
    for (const consumer of this.#consumers) consumer.start();
    await this.#scheduler.start();
    this.#housekeeper.start();
    this.#sealer.start();
  }

  async stop(deadlineMs: number): Promise<void> {
    await this.#housekeeper.stop();
    await this.#scheduler.stop();
    await Promise.all([
      ...this.#workers.map((worker) => worker.stop(deadlineMs)),
      ...this.#consumers.map((consumer) => consumer.stop()),
    ]);
    await this.#keeper.stop();
    await this.#sealer.stop();
  }

  #cancel(ids: readonly string[]): void {
    for (const id of ids) for (const worker of this.#workers) worker.cancel(id);
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

function requireJobs(
  schedules: ReadonlyMap<string, ScheduleDefinition>,
  jobs: ReadonlyMap<string, JobDefinition>,
): void {
  for (const { name, jobName } of schedules.values()) {
    if (jobs.has(jobName)) continue;
    throw new TypeError(`Schedule ${name} enqueues job ${jobName}, which is not declared; add it`);
  }
}

function queueNames(jobs: readonly JobDefinition[]): readonly string[] {
  return [...new Set(jobs.map((job) => job.queue))];
}

function slotsOf(declared: readonly string[], options: DurableOptions): Slots {
  const names = [...declared, ...Object.keys(options.queues ?? {})];
  const queues = new Map(names.map((queue) => [queue, queueSlots(queue, options)]));
  return new Slots(options.totalConcurrency ?? Number.POSITIVE_INFINITY, queues);
}

function queueSlots(queue: string, options: DurableOptions): QueueSlots {
  const { concurrency = options.concurrency ?? defaultConcurrency, reserved = 0 } =
    options.queues?.[queue] ?? {};
  return { concurrency, reserved };
}
