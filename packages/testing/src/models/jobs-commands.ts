import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { ApiForgeError } from "apiforge/internal/kernel";
import type { JobLane, JobSettlement, NewJob } from "apiforge/internal/store";
import type { OpenStore } from "../contracts/index.ts";
import { miscounted } from "./lane-counters.ts";
import type { JobsModel, ModelLease } from "./jobs-model.ts";

/** The store under test, and where its job ids come from. */
export interface JobsSystem {
  readonly open: OpenStore;
  /** A restart is only asked of a store that has a later life. */
  readonly persistent: boolean;
  nextId(): string;
}

type Command = fc.AsyncCommand<JobsModel, JobsSystem>;

/** One thing that is done to both, and compared. */
interface Step {
  readonly name: string;
  /** Default: always possible. */
  check?(model: Readonly<JobsModel>): boolean;
  /** @throws Error when the store answered otherwise than the model. */
  run(model: JobsModel, system: JobsSystem): Promise<void>;
}

function command(step: Step): Command {
  return {
    check: (model) => step.check?.(model) ?? true,
    toString: () => step.name,
    async run(model, system) {
      await step.run(model, system);
      const records = await system.open.store.jobs.list({ limit: 10_000 });
      const difference = model.difference(records) ?? (await miscounted(system.open.store));
      if (difference !== undefined) throw new Error(`After ${step.name}: ${difference}`);
    },
  };
}

function same(what: string, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what} was ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

const queues = fc.constantFrom("mail", "slow");
const types = fc.constantFrom("send", "sync");
const owners = fc.constantFrom("w1", "w2", "w3");
const delays = fc.constantFrom(0, 0, 1, 1_000, 60_000);
/** Microseconds of the starts of `limit` in `perMs`. */
const spacing = (limit: number, perMs: number): number => Math.ceil((perMs * 1_000) / limit);
const lanes = fc.constantFrom<JobLane>(
  { key: "one", concurrency: 1, spacingUs: 0, ordered: false },
  { key: "two", concurrency: 2, spacingUs: 0, ordered: false },
  { key: "free", concurrency: null, spacingUs: 0, ordered: false },
  { key: "quick", concurrency: null, spacingUs: spacing(3, 100), ordered: false },
  { key: "slow", concurrency: 2, spacingUs: spacing(1, 1_000), ordered: false },
  { key: "order", concurrency: null, spacingUs: 0, ordered: true },
);
const keys = fc.option(lanes.map(({ key }) => key));
const deadlines = fc.constantFrom(null, null, null, 500, 20_000);
const jobShapes = fc.record({
  queue: queues,
  lane: fc.option(lanes),
  deadlineMs: deadlines,
  type: types,
  priority: fc.integer({ min: -1, max: 1 }),
  delayMs: delays,
  maxAttempts: fc.integer({ min: 1, max: 3 }),
});
type JobShape = typeof jobShapes extends fc.Arbitrary<infer Shape> ? Shape : never;

function newJob(shape: JobShape, id: string, dedupeKey: string | null): NewJob {
  const rest = { tenant: "ten_1", payload: "{}", requestId: "req_1", traceparent: null };
  // What is ordered has neither a priority nor a delay.
  const order = shape.lane?.ordered === true ? { priority: 0, delayMs: 0 } : {};
  return { ...shape, ...order, ...rest, id, dedupeKey };
}

const enqueue = fc.record({ shape: jobShapes, undone: fc.boolean() }).map(({ shape, undone }) =>
  command({
    name: `enqueue(${JSON.stringify(shape)}${undone ? ", undone" : ""})`,
    async run(model, { open, nextId }) {
      const job = newJob(shape, nextId(), null);
      const committed = open.store.transact("enqueue", async (tx) => {
        tx.insertJob(job);
        if (undone) throw new Error("undone");
      });
      if (undone) await committed.catch(() => undefined);
      else await committed;
      if (!undone) model.enqueue(job);
    },
  }),
);

const enqueueMany = fc
  .record({ shape: jobShapes, lane: lanes, count: fc.integer({ min: 2, max: 5 }) })
  .map(({ shape, lane, count }) =>
    command({
      name: `enqueueMany(${count}, ${JSON.stringify({ ...shape, lane })})`,
      async run(model, { open, nextId }) {
        const jobs = Array.from({ length: count }, () =>
          newJob({ ...shape, lane }, nextId(), null),
        );
        await open.store.transact("enqueue", async (tx) => {
          for (const job of jobs) tx.insertJob(job);
        });
        for (const job of jobs) model.enqueue(job);
      },
    }),
  );

/** So many jobs of one kind that a store may keep them together. */
const enqueueKind = fc
  .record({
    queue: queues,
    type: types,
    priority: fc.integer({ min: -1, max: 1 }),
    count: fc.integer({ min: 8, max: 12 }),
    more: fc.option(jobShapes),
  })
  .map(({ queue, type, priority, count, more }) =>
    command({
      name: `enqueueKind(${count}, ${queue}, ${type}, ${priority}, ${JSON.stringify(more)})`,
      async run(model, { open, nextId }) {
        const kind = { queue, type, priority, delayMs: 0, maxAttempts: 2 } as const;
        const shapes: JobShape[] = Array.from({ length: count }, () => {
          return { ...kind, lane: null, deadlineMs: null };
        });
        if (more !== null) shapes.push(more);
        const jobs = shapes.map((shape) => newJob(shape, nextId(), null));
        await open.store.transact("enqueue", async (tx) => {
          for (const job of jobs) tx.insertJob(job);
        });
        for (const job of jobs) model.enqueue(job);
      },
    }),
  );

const enqueueUnique = fc
  .record({ shape: jobShapes, key: fc.constantFrom("a", "b") })
  .map(({ shape, key }) =>
    command({
      name: `enqueueUnique(${key}, ${JSON.stringify(shape)})`,
      async run(model, { open, nextId }) {
        const job = newJob(shape, nextId(), key);
        const { value } = await open.store.transact("enqueue", (tx) => tx.insertUniqueJob(job));
        same("enqueueUnique", value, model.enqueueUnique(job));
      },
    }),
  );

const claim = fc
  .record({
    queue: queues,
    owner: owners,
    limit: fc.integer({ min: 1, max: 6 }),
    keyedLimit: fc.integer({ min: 0, max: 6 }),
  })
  .map((wish) =>
    command({
      name: `claim(${JSON.stringify(wish)})`,
      async run(model, { open }) {
        const { queue, owner, limit, keyedLimit } = wish;
        const claimed = await open.store.jobs.claim(queue, owner, limit, keyedLimit);
        const wrong = model.claim(wish, claimed);
        if (wrong !== undefined) throw new Error(`${wrong}; claimed ${JSON.stringify(claimed)}`);
      },
    }),
  );

/** Picks one of the leases given so far: half of the time one that is still held, if there is any. */
const leasePicks = fc.record({ held: fc.boolean(), index: fc.nat() });
type LeasePick = typeof leasePicks extends fc.Arbitrary<infer Pick> ? Pick : never;

function pickLease(model: Readonly<JobsModel>, { held, index }: LeasePick): ModelLease | undefined {
  const living = model.leases.filter((lease) => model.isHeld(lease));
  const leases = held && living.length > 0 ? living : model.leases;
  return leases[index % leases.length];
}

const outcomes = fc.oneof(
  fc.constant({ outcome: "completed" } as const),
  delays.map((delayMs) => ({ outcome: "retry", delayMs, error: "Error: again" }) as const),
  fc.constant({ outcome: "dead", error: "Error: never" } as const),
  delays.map((delayMs) => ({ outcome: "snoozed", delayMs }) as const),
  fc.constant({ outcome: "cancelled" } as const),
  fc.constant({ outcome: "released" } as const),
);

const settle = fc
  .array(fc.tuple(leasePicks, outcomes), { minLength: 1, maxLength: 3 })
  .map((ends) =>
    command({
      name: `settle(${ends.map(([, { outcome }]) => outcome).join(", ")})`,
      check: ({ leases }) => leases.length > 0,
      async run(model, { open }) {
        const leases = ends.flatMap(([pick, end]) => {
          const lease = pickLease(model, pick);
          return lease === undefined ? [] : [{ lease, end }];
        });
        const settlements = leases.map(({ lease, end }): JobSettlement => {
          return { ...end, n: lease.n, fence: lease.fence };
        });
        const expected = leases.map(({ lease }, index) => {
          const settlement = settlements[index];
          return settlement !== undefined && model.settle(lease, settlement);
        });
        same("settle", await open.store.jobs.settle(settlements), expected);
      },
    }),
  );

const complete = fc.record({ pick: leasePicks, undone: fc.boolean() }).map(({ pick, undone }) =>
  command({
    name: `complete(${undone ? "undone" : ""})`,
    check: ({ leases }) => leases.length > 0,
    async run(model, { open }) {
      const lease = pickLease(model, pick);
      if (lease === undefined) return;
      let held: boolean | undefined;
      const committed = open.store.transact("complete", async (tx) => {
        held = await tx.completeJob({ n: lease.n, fence: lease.fence });
        if (undone) throw new Error("undone");
      });
      if (undone) await committed.catch(() => undefined);
      else await committed;
      const { n, fence } = lease;
      const expected = undone
        ? model.isHeld(lease)
        : model.settle(lease, { outcome: "completed", n, fence });
      same("complete", held, expected);
    },
  }),
);

const cancel = fc.nat().map((index) =>
  command({
    name: `cancel(${index})`,
    check: ({ jobs }) => jobs.length > 0,
    async run(model, { open }) {
      const live = model.jobs.filter(({ finishedAt }) => finishedAt === null);
      const jobs = live.length > 0 ? live : model.jobs;
      const id = jobs[index % jobs.length]?.id ?? "";
      same("cancel", await open.store.jobs.cancel(id), model.cancel(id));
    },
  }),
);

const find = fc.nat().map((index) =>
  command({
    name: `find(${index})`,
    check: ({ jobs }) => jobs.length > 0,
    async run(model, { open }) {
      const job = model.jobs[index % model.jobs.length];
      const found = await open.store.jobs.find(job?.id ?? "");
      same("find", [found?.id, found?.state, found?.attempt], [job?.id, job?.state, job?.attempt]);
      same("find", await open.store.jobs.find("job_none"), undefined);
    },
  }),
);

const cancelRequests = owners.map((owner) =>
  command({
    name: `cancelRequests(${owner})`,
    async run(model, { open }) {
      const asked = (await open.store.jobs.cancelRequests(owner)).toSorted();
      same("cancelRequests", asked, model.cancelRequests(owner));
    },
  }),
);

const pause = fc.record({ queue: queues, key: keys }).map(({ queue, key }) =>
  command({
    name: `pause(${queue}, ${key})`,
    async run(model, { open }) {
      await open.store.queues.pause(queue, key);
      model.lanes.pause(queue, key);
    },
  }),
);

const resume = fc.record({ queue: queues, key: keys }).map(({ queue, key }) =>
  command({
    name: `resume(${queue}, ${key})`,
    async run(model, { open }) {
      same("resume", await open.store.queues.resume(queue, key), model.lanes.resume(queue, key));
    },
  }),
);

const advance = fc.constantFrom(1, 34, 999, 1_000, 9_000, 60_000).map((ms) =>
  command({
    name: `advance(${ms})`,
    async run(model, { open }) {
      await open.advance(ms);
      model.now += ms;
    },
  }),
);

const heartbeat = owners.map((owner) =>
  command({
    name: `heartbeat(${owner})`,
    async run(model, { open }) {
      same("heartbeat", await open.store.workers.heartbeat(owner), model.heartbeat(owner));
    },
  }),
);

const register = owners.map((owner) =>
  command({
    name: `register(${owner})`,
    async run(model, { open }) {
      await open.store.workers.register(owner);
      model.register(owner);
    },
  }),
);

const unregister = owners.map((owner) =>
  command({
    name: `unregister(${owner})`,
    async run(model, { open }) {
      await open.store.workers.unregister(owner);
      model.unregister(owner);
    },
  }),
);

const recoverExpired = fc.constant(
  command({
    name: "recoverExpired",
    async run(model, { open }) {
      const recovered = await open.store.workers.recoverExpired(10_000);
      same("recoverExpired", recovered, model.recoverExpired(10_000));
    },
  }),
);

const retryDead = fc.nat().map((index) =>
  command({
    name: `retryDead(${index})`,
    check: ({ jobs }) => jobs.length > 0,
    async run(model, { open }) {
      const dead = model.jobs.filter(({ state }) => state === "dead");
      const jobs = dead.length > 0 ? dead : model.jobs;
      const id = jobs[index % jobs.length]?.id ?? "";
      const answered = await open.store.jobs.retryDead(id).catch((error: unknown) => {
        if (ApiForgeError.is(error) && error.code === "job_duplicate") return "duplicate";
        throw error;
      });
      same("retryDead", answered, model.retryDead(id));
    },
  }),
);

const sweep = fc.constantFrom(0, 1_000, 30_000).map((olderThanMs) =>
  command({
    name: `sweepEnded(${olderThanMs})`,
    async run(model, { open }) {
      const swept = await open.store.jobs.sweepEnded(olderThanMs, 10_000);
      same("sweepEnded", swept, model.sweepEnded(olderThanMs));
    },
  }),
);

const nextDue = fc.constant(
  command({
    name: "nextDueInMs",
    async run(model, { open }) {
      same("nextDueInMs", await open.store.jobs.nextDueInMs(), model.nextDueInMs());
    },
  }),
);

const restart = fc.constantFrom("reopen" as const, "crash" as const).map((how) =>
  command({
    name: how,
    async run(_, { open, persistent }) {
      if (persistent) await open[how]();
    },
  }),
);

/** Everything that can happen to jobs; what is done most stands twice. */
export const jobsCommands: readonly fc.Arbitrary<Command>[] = [
  enqueue,
  enqueue,
  enqueueMany,
  enqueueKind,
  enqueueUnique,
  claim,
  claim,
  settle,
  settle,
  complete,
  cancel,
  find,
  cancelRequests,
  pause,
  resume,
  resume,
  advance,
  heartbeat,
  register,
  unregister,
  recoverExpired,
  retryDead,
  sweep,
  nextDue,
  restart,
];
