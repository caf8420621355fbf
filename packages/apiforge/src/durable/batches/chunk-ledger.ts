import type { BatchRecord, ChunkProgress, StoredChunk } from "../../store/index.ts";
import { durableError } from "../errors.ts";
import type { Transaction } from "../transaction.ts";
import type { BatchDefinition, FinishedItem } from "./definition.ts";
import { batchCompleted, batchProgressed, progressOf } from "./events.ts";
import { handlerBatches } from "./handler-batches.ts";
import { attemptsOf, countOutcomes, isFinal, parseOutcomes, type Outcome } from "./outcomes.ts";

/** What a commit does besides recording. */
export interface ChunkStep {
  /** True when nothing of the chunk will change after this commit. */
  readonly closes: boolean;
  /** Asks for a chunk that nobody has taken yet, and gives it a job. */
  readonly takesNext: boolean;
  /** A job for what is left of this chunk. */
  readonly followUp?: { readonly delayMs: number; readonly advances: boolean };
}

/** The outcomes of one chunk, in memory and as they were committed last. */
export class ChunkLedger {
  readonly #definition: BatchDefinition;
  readonly #chunk: StoredChunk;
  readonly #items: unknown[];
  readonly #outcomes: Outcome[];
  /** Outcomes as they are stored, so that a commit only joins them. */
  readonly #texts: string[];
  /** Items that ended since the last commit. */
  #finished: number[] = [];
  #changed = false;
  #succeeded: number;
  #failed: number;

  constructor(definition: BatchDefinition, chunk: StoredChunk) {
    this.#definition = definition;
    this.#chunk = chunk;
    // Stored by us as an array of the items as they came in.
    this.#items = JSON.parse(chunk.items) as unknown[];
    this.#outcomes = parseOutcomes(chunk.outcomes, this.#items.length);
    this.#texts = this.#outcomes.map((outcome) => JSON.stringify(outcome));
    ({ succeeded: this.#succeeded, failed: this.#failed } = countOutcomes(this.#outcomes));
  }

  /** True when something was set since the last commit. */
  get changed(): boolean {
    return this.#changed;
  }

  item(offset: number): unknown {
    return this.#items[offset];
  }

  /** Puts the validated item in the place of what is stored. */
  convert(offset: number, item: unknown): void {
    this.#items[offset] = item;
  }

  attempts(offset: number): number {
    return attemptsOf(this.#outcomes[offset] ?? null);
  }

  /** Offsets of the items that have not ended, with the instant from which they may run. */
  *unfinished(): Generator<{ readonly offset: number; readonly dueAt: number }> {
    for (let offset = 0; offset < this.#outcomes.length; offset++) {
      const outcome = this.#outcomes[offset] ?? null;
      if (!isFinal(outcome)) yield { offset, dueAt: outcome?.[0] === 3 ? outcome[4] : 0 };
    }
  }

  /** Sets what became of an item. `text` is the outcome's JSON where it is known already. */
  set(offset: number, outcome: Outcome, text = JSON.stringify(outcome)): void {
    this.#outcomes[offset] = outcome;
    this.#texts[offset] = text;
    this.#changed = true;
    if (isFinal(outcome)) this.#finished.push(offset);
  }

  /**
   * Records everything set so far with whatever follows from it, in `tx`; answers the batch as it
   * is then. What it answers in `undo` takes it back when the commit fails.
   * @throws {batch_lost} when the batch is gone.
   */
  async write(
    tx: Transaction,
    step: ChunkStep,
  ): Promise<{ readonly batch: BatchRecord; readonly undo: () => void }> {
    const finished = this.#finished;
    this.#finished = [];
    this.#changed = false;
    const newly = countOutcomes(finished.map((offset) => this.#outcomes[offset] ?? null));
    this.#succeeded += newly.succeeded;
    this.#failed += newly.failed;
    const undo = (): void => {
      this.#finished = [...finished, ...this.#finished];
      this.#changed = true;
      this.#succeeded -= newly.succeeded;
      this.#failed -= newly.failed;
    };
    try {
      return { batch: await this.#record(tx, step, newly, finished), undo };
    } catch (error) {
      undo();
      throw error;
    }
  }

  async #record(
    tx: Transaction,
    step: ChunkStep,
    newly: { readonly succeeded: number; readonly failed: number },
    finished: readonly number[],
  ): Promise<BatchRecord> {
    const batches = handlerBatches(tx);
    const { batch, position } = this.#chunk;
    // Made before anything is waited for: other items end meanwhile, and belong to the next commit.
    const recorded: ChunkProgress = {
      batchId: batch.id,
      position,
      outcomes: `[${this.#texts.join()}]`,
      succeeded: this.#succeeded,
      failed: this.#failed,
      newlySucceeded: newly.succeeded,
      newlyFailed: newly.failed,
      closes: step.closes,
      takesNext: step.takesNext,
      retentionMs: this.#definition.retentionMs,
    };
    // Recording locks the batch against its other chunks, so what may take long comes before.
    await this.#tellItems(tx, finished);
    const progress = await batches.record(recorded);
    if (progress === undefined) throw durableError("batch_lost", `Batch ${batch.id} is gone.`);
    if (step.followUp !== undefined) {
      const { delayMs, advances } = step.followUp;
      const input = { batchId: batch.id, position, advances };
      await batches.enqueueChunk(this.#definition, input, delayMs);
    }
    if (progress.next !== undefined) {
      const input = { batchId: batch.id, position: progress.next, advances: true };
      await batches.enqueueChunk(this.#definition, input, 0);
    }
    await this.#report(tx, progress.batch, progress.reportDue);
    return progress.batch;
  }

  async #tellItems(tx: Transaction, finished: readonly number[]): Promise<void> {
    if (this.#definition.onItem === undefined) return;
    for (const offset of finished) {
      const item = this.#finishedItem(offset);
      if (item !== undefined) await this.#definition.onItem(tx, item);
    }
  }

  #finishedItem(offset: number): FinishedItem | undefined {
    const outcome = this.#outcomes[offset] ?? null;
    if (outcome === null || outcome[0] === 3) return undefined;
    const base = {
      index: this.#chunk.firstIndex + offset,
      item: this.#items[offset],
      attempts: outcome[1],
    };
    if (outcome[0] === 1) return { ...base, status: "succeeded", result: outcome[2] };
    return { ...base, status: "failed", error: { code: outcome[2], message: outcome[3] } };
  }

  async #report(tx: Transaction, batch: BatchRecord, reportDue: boolean): Promise<void> {
    if (batch.finishedAt !== null) {
      tx.emit(batchCompleted, progressOf(batch));
      await this.#definition.onComplete?.(tx, batch);
    } else if (reportDue) {
      tx.emit(batchProgressed, progressOf(batch));
    }
  }
}
