import { setImmediate as nextTurn } from "node:timers/promises";
import { ManualClock } from "@apiforge/testing";
import fc from "fast-check";
import { expect, test } from "vitest";

import type { Transaction } from "../../../src/durable/index.ts";
import { Authoriser } from "../../../src/edge/auth/authoriser.ts";
import { RevocationWatch } from "../../../src/features/identity/index.ts";

/** How long another node may go on: the promise of `Deployment.forgetCallers`. */
const boundMs = 250;
const transactionLimitMs = 5_000;

interface Row {
  readonly tenant: string | null;
  readonly epoch: number;
}

/** A read of the store: what it sees is decided between its begin and its end. */
interface Look<T> {
  readonly see: () => void;
  readonly end: () => void;
  readonly fail: () => void;
  readonly seen: Promise<T>;
}

function lookAt<T>(view: () => T): Look<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  let value: T | undefined;
  const see = (): void => void (value ??= view());
  return {
    see,
    end: () => {
      see();
      resolve(value as T);
    },
    fail: () => reject(new Error("The store is away")),
    seen: promise,
  };
}

/** Revocations as a store commits them, which a key's verification and a node's look see. */
class CommittedStore {
  epoch = 0;
  readonly last = new Map<string, number>();
  readonly looks: Look<unknown>[] = [];

  commit(tenant: string): void {
    this.epoch += 1;
    this.last.set(tenant, this.epoch);
  }

  look<T>(view: () => T): Promise<T> {
    const look = lookAt(view);
    this.looks.push(look);
    return look.seen;
  }

  rowsAfter(epoch: number): readonly Row[] {
    const rows: Row[] = [...this.last].map(([tenant, at]) => ({ tenant, epoch: at }));
    return [...rows.filter((row) => row.epoch > epoch), { tenant: null, epoch: this.epoch }];
  }
}

/** One node that remembers one key of each tenant. */
class WatchingNode {
  readonly clock = new ManualClock();
  readonly store = new CommittedStore();
  readonly watch: RevocationWatch;
  readonly authoriser: Authoriser<{
    readonly principal: {
      readonly subject: string;
      readonly tenant: string;
      readonly role: string;
      readonly scopes: readonly string[];
    };
    readonly expiresAt: number;
    /** The last revocation that its verification saw. */
    readonly epoch: number;
  }>;

  constructor(singleProcess: boolean) {
    const { clock, store } = this;
    this.watch = new RevocationWatch({
      clock,
      singleProcess,
      transactionLimitMs,
      durable: {
        read: (_label, work) => {
          // What the query is asked for decides the rows, so that it is the watch's own that is tested.
          return work({
            sql: async (_texts: unknown, ...inputs: readonly unknown[]) => {
              const after = inputs.find((input) => typeof input === "number");
              return store.look(() => store.rowsAfter(after ?? store.epoch));
            },
          } as never);
        },
      },
    });
    this.authoriser = new Authoriser({
      clock,
      revocations: this.watch,
      enrich: undefined,
      maxAgeMs: 3_600_000,
      maxEntries: 100,
      verify: (tenant) =>
        store.look(() => ({
          principal: { subject: "key", tenant, role: "", scopes: [] },
          expiresAt: Number.POSITIVE_INFINITY,
          epoch: store.last.get(tenant) ?? 0,
        })),
    });
  }

  /** A revocation of this node, up to its commit: that is the caller's. */
  async begin(tenant: string): Promise<void> {
    const epoch = this.store.epoch + 1;
    const tx = { sql: async () => [{ epoch }] } as unknown as Transaction;
    await this.watch.revoke(tx, tenant);
  }
}

const tenant = fc.constantFrom("ten_a", "ten_a", "ten_b");
const which = fc.nat(1);
const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("revokeElsewhere" as const), tenant }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("revokeHere" as const),
      tenant,
      isCommitted: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("see" as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("end" as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 60, 249, 250),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("request" as const), tenant }) },
);

test.for([true, false])(
  "no request is served by what was revoked before it, 250 ms before it on another node (single process: %s)",
  async (singleProcess) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 60, size: "max" }),
        async (steps) => {
          const node = new WatchingNode(singleProcess);
          const { clock, store } = node;
          const commits: { tenant: string; epoch: number; at: number; here: boolean }[] = [];
          const answers: Promise<void>[] = [];

          function commit(tenant: string, here: boolean): void {
            store.commit(tenant);
            commits.push({ tenant, epoch: store.epoch, at: clock.now(), here });
          }

          /** The least that a request of now must have seen. */
          function leastOf(tenant: string): number {
            const due = commits.filter(
              (made) => made.tenant === tenant && (made.here || made.at <= clock.now() - boundMs),
            );
            return due.at(-1)?.epoch ?? 0;
          }

          function request(tenant: string): void {
            const least = leastOf(tenant);
            const answer = node.authoriser.authorise(tenant);
            answers.push(
              Promise.resolve(answer).then(
                ({ epoch }) => expect(epoch).toBeGreaterThanOrEqual(least),
                (error: unknown) => expect(String(error)).toContain("The store is away"),
              ),
            );
          }

          for (const made of steps) {
            switch (made.kind) {
              case "wait":
                clock.advance(made.ms);
                break;
              case "request":
                request(made.tenant);
                break;
              case "revokeElsewhere":
                if (!singleProcess) commit(made.tenant, false);
                break;
              case "revokeHere":
                await node.begin(made.tenant);
                if (made.isCommitted) commit(made.tenant, true);
                break;
              case "see":
                store.looks[made.which]?.see();
                break;
              case "end":
              case "fail":
                store.looks[made.which]?.[made.kind]();
                store.looks.splice(made.which, 1);
            }
            await nextTurn();
          }
          while (store.looks.length > 0) {
            store.looks.shift()?.end();
            await nextTurn();
          }
          await Promise.all(answers);
        },
      ),
      { numRuns: 500 },
    );
  },
);

test("a server at rest asks nothing; one in use looks every 50 ms, beside its requests", async () => {
  const node = new WatchingNode(false);
  const { clock, store } = node;
  void node.watch.refresh();
  store.looks.shift()?.end();
  await nextTurn();
  clock.advance(49);
  expect([node.watch.isFresh(), store.looks.length]).toEqual([true, 0]);
  clock.advance(1);
  expect([node.watch.isFresh(), node.watch.isFresh(), store.looks.length]).toEqual([true, true, 1]);
  store.looks.shift()?.end();
  await nextTurn();
  clock.advance(249);
  expect(node.watch.isFresh()).toBe(true);
  store.looks.shift()?.fail();
  await nextTurn();
  clock.advance(1);
  expect(node.watch.isFresh()).toBe(false);
  clock.advance(-10_000);
  expect(node.watch.isFresh()).toBe(false);
});

test("a revocation that was rolled back is looked for until it cannot be committed any more", async () => {
  const node = new WatchingNode(true);
  const { clock, store, watch } = node;
  async function look(): Promise<void> {
    const looking = watch.refresh();
    store.looks.shift()?.end();
    await looking;
  }
  await look();
  expect(watch.isFresh()).toBe(true);
  await node.begin("ten_a");
  await look();
  expect(watch.isFresh()).toBe(false);
  clock.advance(transactionLimitMs + 1_000);
  expect(watch.isFresh()).toBe(false);
  await look();
  expect(watch.isFresh()).toBe(true);
});
