import {
  storeError,
  type Committed,
  type Store,
  type StoreTransaction,
} from "apiforge/internal/store";

/**
 * How a commit goes wrong. Its caller is told the same in both cases: `commit_outcome_unknown`.
 * `undone`: it did not happen. `unheard`: it happened, and the answer was lost.
 */
export type CommitFault = "undone" | "unheard";

/** A store whose commits can be made to fail. */
export interface FaultyStore extends Store {
  /** The fault of the next {@link Store.transact}; taken back by it. */
  nextFault: CommitFault | undefined;
}

/** Puts faults in front of `store`. */
export function faultyStore(store: Store): FaultyStore {
  const faulty: FaultyStore = {
    nextFault: undefined,
    dialect: store.dialect,
    capabilities: store.capabilities,
    jobs: store.jobs,
    queues: store.queues,
    workers: store.workers,
    events: store.events,
    idempotency: store.idempotency,
    schedules: store.schedules,
    batches: store.batches,
    rates: store.rates,
    quotas: store.quotas,
    upstreamCalls: store.upstreamCalls,
    read: (label, work, tenant) => store.read(label, work, tenant),
    figures: () => store.figures(),
    work: () => store.work(),
    check: () => store.check(),
    close: () => store.close(),
    async transact<T>(
      label: string,
      work: (tx: StoreTransaction) => Promise<T>,
    ): Promise<Committed<T>> {
      const fault = faulty.nextFault;
      faulty.nextFault = undefined;
      const committed = await store.transact(label, async (tx) => {
        const value = await work(tx);
        if (fault === "undone") throw unknownOutcome();
        return value;
      });
      if (fault === "unheard") throw unknownOutcome();
      return committed;
    },
  };
  return faulty;
}

function unknownOutcome(): Error {
  return storeError("commit_outcome_unknown", "The test has lost the answer to the commit.");
}
