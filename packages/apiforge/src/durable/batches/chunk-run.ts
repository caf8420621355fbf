import { ApiForgeError, type Clock, type Log } from "../../kernel/index.ts";
import { backoffDelayMs, retryWaitMs } from "../../resilience/index.ts";
import type { Store, StoredChunk } from "../../store/index.ts";
import type { JobContext } from "../definitions.ts";
import { durableError } from "../errors.ts";
import type { Breather } from "./breather.ts";
import type { ChunkJobInput } from "./chunk-jobs.ts";
import { ChunkLedger, type ChunkStep } from "./chunk-ledger.ts";
import type { BatchDefinition } from "./definition.ts";
import { ItemAttempt, itemTimeout } from "./item-attempt.ts";
import { rateName, RatePacer } from "./rate-pacer.ts";

/** How often what has ended is committed, a cancellation noticed and a timeout found. */
const flushMs = 1_000;
/** Time after which no further item of a chunk begins: the rest waits its turn behind other jobs. */
export const sliceMs = 5_000;
const maxErrorChars = 500;
const maxResultChars = 16 * 1_024;
/** Tries to commit a chunk's end, because running its items again is what must not happen. */
const endTries = 10;
const endRetryMs = 500;

/** What the runner of chunks is made of. */
export interface ChunkParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly breather: Breather;
}

/**
 * One visit to one chunk: runs its unfinished items, commits what has ended every second, and in
 * the end completes its job together with the last of it. A process that dies loses a second of
 * outcomes, never counts one twice: every commit is fenced by the job's lease.
 */
export class ChunkRun {
  readonly #definition: BatchDefinition;
  readonly #job: JobContext<ChunkJobInput>;
  readonly #parts: ChunkParts;
  readonly #running = new Set<ItemAttempt>();
  readonly #startedAt: number;
  #isCancelled = false;
  /** Set when a lane found that no slot of the rate is near: the milliseconds until one is. */
  #slotInMs = 0;
  #broken: { readonly error: unknown } | undefined;
  #flushing: Promise<void> | undefined;
  /** One wait per number of attempts, so that items that failed together are tried again together. */
  readonly #retryAt = new Map<number, number>();

  constructor(definition: BatchDefinition, job: JobContext<ChunkJobInput>, parts: ChunkParts) {
    this.#definition = definition;
    this.#job = job;
    this.#parts = parts;
    this.#startedAt = parts.clock.now();
  }

  async run(): Promise<void> {
    const { batchId, position } = this.#job.input;
    const chunk = await this.#parts.store.batches.loadChunk(batchId, position);
    // Swept, or closed by a commit whose answer was lost.
    if (chunk === undefined || chunk.closed) return;
    await this.#parts.breather.breathe();
    const ledger = new ChunkLedger(this.#definition, chunk);
    this.#isCancelled = chunk.batch.cancelledAt !== null;
    if (!this.#isCancelled) await this.#runItems(chunk, ledger);
    await this.#end(ledger);
  }

  async #runItems(chunk: StoredChunk, ledger: ChunkLedger): Promise<void> {
    const due = [...ledger.unfinished()].filter(({ dueAt }) => dueAt <= this.#startedAt);
    const offsets = due.map(({ offset }) => offset);
    const pacer = this.#pacer(chunk);
    const { signal } = this.#job;
    const stop = (): void => this.#stopItems(ledger);
    signal.addEventListener("abort", stop, { once: true });
    const ticking = this.#tickWhile(ledger);
    const lanes = Array.from({ length: Math.min(this.#definition.concurrency, due.length) }, () =>
      this.#lane(chunk, ledger, offsets, pacer),
    );
    try {
      await Promise.all(lanes);
    } finally {
      ticking.stop();
      signal.removeEventListener("abort", stop);
      await this.#flushing;
    }
  }

  #pacer({ batch }: StoredChunk): RatePacer | undefined {
    const { rate } = this.#definition;
    if (rate === undefined) return undefined;
    const { store, clock } = this.#parts;
    const name = rateName(this.#definition, rate, batch);
    return new RatePacer({ rates: store.rates, clock, name, rate, signal: this.#job.signal });
  }

  /** Runs items one after another until none is left or this visit is over. */
  async #lane(
    chunk: StoredChunk,
    ledger: ChunkLedger,
    offsets: number[],
    pacer: RatePacer | undefined,
  ): Promise<void> {
    // Taken from the end, which costs nothing; order among a chunk's items means nothing.
    while (this.#mayBegin()) {
      const offset = offsets.pop();
      if (offset === undefined) return;
      if (pacer !== undefined && !(await this.#hasSlot(pacer, offsets.length + 1))) return;
      await this.#runItem(chunk, ledger, offset);
      const turn = this.#parts.breather.breathe();
      if (turn !== undefined) await turn;
    }
  }

  async #hasSlot(pacer: RatePacer, wanted: number): Promise<boolean> {
    const laterMs = await pacer.next(wanted);
    this.#slotInMs = Math.max(this.#slotInMs, laterMs);
    return laterMs === 0 && this.#mayBegin();
  }

  #mayBegin(): boolean {
    return (
      !this.#isCancelled &&
      this.#slotInMs === 0 &&
      this.#broken === undefined &&
      !this.#job.signal.aborted &&
      this.#parts.clock.now() - this.#startedAt < sliceMs
    );
  }

  async #runItem(chunk: StoredChunk, ledger: ChunkLedger, offset: number): Promise<void> {
    const attempt = ledger.attempts(offset) + 1;
    const item = this.#definition.compiled.validate(ledger.item(offset));
    if (!item.ok) {
      const [issue] = item.issues;
      const message = `${issue?.path || "item"}: ${issue?.message ?? "is invalid"}`;
      ledger.set(offset, [2, attempt, "batch_item_invalid", message]);
      return;
    }
    ledger.convert(offset, item.value);
    const { batch, firstIndex } = chunk;
    const facts = { item: item.value, index: firstIndex + offset, attempt, tenant: batch.tenant };
    const { commit } = this.#job;
    const all = { ...facts, batchId: batch.id, commit };
    const running = new ItemAttempt(all, this.#parts.clock.now());
    this.#running.add(running);
    try {
      this.#succeed(ledger, offset, attempt, await running.run(this.#definition));
    } catch (error) {
      // What a cancellation or a stop has broken off has not failed: it has not ended.
      if (!this.#isCancelled && !this.#job.signal.aborted)
        this.#fail(ledger, offset, attempt, error);
    } finally {
      this.#running.delete(running);
    }
  }

  #succeed(ledger: ChunkLedger, offset: number, attempt: number, result: unknown): void {
    const text = JSON.stringify(result) ?? "null";
    if (text.length > maxResultChars) {
      throw durableError(
        "batch_result_too_large",
        `The item's result has ${text.length} characters; at most ${maxResultChars} are kept.`,
      );
    }
    ledger.set(offset, [1, attempt, result ?? null], `[1,${attempt},${text}]`);
  }

  #fail(ledger: ChunkLedger, offset: number, attempt: number, error: unknown): void {
    const { code, message, isRetryable, retryAfterSeconds } = describe(error);
    if (attempt >= this.#definition.attempts || !isRetryable) {
      ledger.set(offset, [2, attempt, code, message]);
      return;
    }
    const dueAt = this.#dueAt(attempt, retryAfterSeconds);
    ledger.set(offset, [3, attempt, code, message, dueAt]);
  }

  #dueAt(attempt: number, retryAfterSeconds: number | undefined): number {
    const { clock, random } = this.#parts;
    const nowMs = clock.now();
    const shared =
      this.#retryAt.get(attempt) ??
      nowMs + backoffDelayMs(this.#definition.backoff, attempt, random);
    this.#retryAt.set(attempt, shared);
    if (retryAfterSeconds === undefined) return shared;
    return Math.max(shared, nowMs + retryWaitMs(0, retryAfterSeconds));
  }

  /** Commits what has ended, so that the end of the process costs a second of it at most. */
  #flush(ledger: ChunkLedger): Promise<void> {
    this.#flushing ??= this.#commit(ledger).finally(() => (this.#flushing = undefined));
    return this.#flushing;
  }

  async #commit(ledger: ChunkLedger): Promise<void> {
    let undo: (() => void) | undefined;
    try {
      await this.#job.commit(async (tx) => {
        const written = await ledger.write(tx, { closes: false, takesNext: false });
        ({ undo } = written);
        if (written.batch.cancelledAt !== null) this.#cancelItems();
      });
    } catch (error) {
      if (isFinalFailure(error)) {
        // Whether it is committed is for the next visit to see.
        this.#broken = { error };
        return;
      }
      undo?.();
      const fields = { error, batch: this.#job.input.batchId };
      this.#parts.log.warn(fields, "outcomes of a batch could not be stored; trying again");
    }
  }

  #tickWhile(ledger: ChunkLedger): { stop(): void } {
    const { clock } = this.#parts;
    const tick = (): void => {
      timer = clock.after(flushMs, tick);
      void this.#tick(ledger);
    };
    let timer = clock.after(flushMs, tick);
    return { stop: () => timer.cancel() };
  }

  async #tick(ledger: ChunkLedger): Promise<void> {
    const { clock, store } = this.#parts;
    const { timeoutMs } = this.#definition;
    const startedBefore = clock.now() - timeoutMs;
    for (const attempt of this.#running) {
      if (attempt.startedAt <= startedBefore) attempt.giveUp(itemTimeout(timeoutMs));
    }
    if (ledger.changed) return this.#flush(ledger);
    try {
      const batch = await store.batches.find(this.#job.input.batchId);
      if (batch?.cancelledAt !== null) this.#cancelItems();
    } catch {
      // The next tick asks again.
    }
    return undefined;
  }

  #cancelItems(): void {
    if (this.#isCancelled) return;
    this.#isCancelled = true;
    const reason = durableError("batch_cancelled", "The batch was cancelled.");
    for (const attempt of this.#running) attempt.abort(reason);
  }

  /** The process stops or has lost the lease: nobody waits for the items any more. */
  #stopItems(ledger: ChunkLedger): void {
    const { reason } = this.#job.signal;
    if (ledger.changed) void this.#flush(ledger);
    for (const attempt of this.#running) {
      attempt.giveUp(reason instanceof Error ? reason : new Error("The attempt was stopped"));
    }
  }

  /** Completes the job with what is left to record; tries again while the store is away. */
  async #end(ledger: ChunkLedger): Promise<void> {
    for (let tries = 1; ; tries++) {
      if (this.#broken !== undefined) throw this.#broken.error;
      let undo: (() => void) | undefined;
      try {
        await this.#job.complete(async (tx) => {
          ({ undo } = await ledger.write(tx, this.#lastStep(ledger)));
        });
        return;
      } catch (error) {
        undo?.();
        const mayRetry = ApiForgeError.is(error) && error.retryable;
        if (!mayRetry || tries === endTries || this.#job.signal.aborted) throw error;
        await new Promise<void>((resume) => void this.#parts.clock.after(endRetryMs, resume));
      }
    }
  }

  #lastStep(ledger: ChunkLedger): ChunkStep {
    const { advances } = this.#job.input;
    const dueAt = this.#isCancelled ? undefined : earliest(ledger);
    if (dueAt === undefined) return { closes: true, takesNext: advances };
    const delayMs = Math.max(0, dueAt - this.#parts.clock.now(), this.#slotInMs);
    // Items that wait for a retry do not hold up the next chunk; items that wait for a slot would
    // only be joined by it.
    const waitsForRetry = dueAt > 0 && this.#slotInMs === 0;
    return {
      closes: false,
      takesNext: advances && waitsForRetry,
      followUp: { delayMs, advances: advances && !waitsForRetry },
    };
  }
}

/** The instant from which an unfinished item may run; undefined when all have ended. */
function earliest(ledger: ChunkLedger): number | undefined {
  let first: number | undefined;
  for (const { dueAt } of ledger.unfinished()) {
    if (first === undefined || dueAt < first) first = dueAt;
  }
  return first;
}

function isFinalFailure(error: unknown): boolean {
  return (
    ApiForgeError.is(error) &&
    (error.code === "commit_outcome_unknown" || error.code === "job_lease_lost")
  );
}

function describe(error: unknown) {
  const text = error instanceof Error ? error.message : String(error);
  const message = text.slice(0, maxErrorChars);
  if (!ApiForgeError.is(error))
    return { code: "item_failed", message, isRetryable: true, retryAfterSeconds: undefined };
  const { code, retryable, retryAfterSeconds } = error;
  return { code, message, isRetryable: retryable, retryAfterSeconds };
}
