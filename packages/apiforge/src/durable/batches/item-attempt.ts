import type { ApiForgeError } from "../../kernel/index.ts";
import { durableError } from "../errors.ts";
import type { BatchDefinition, BatchItemContext } from "./definition.ts";

/** What one attempt of an item is about. */
export interface ItemFacts {
  readonly item: unknown;
  readonly index: number;
  readonly batchId: string;
  readonly attempt: number;
  readonly tenant: string;
  readonly commit: BatchItemContext<unknown>["commit"];
}

/** One attempt of one item, as its handler sees it. */
export class ItemAttempt implements BatchItemContext<unknown> {
  readonly item: unknown;
  readonly index: number;
  readonly batchId: string;
  readonly attempt: number;
  readonly tenant: string;
  readonly commit: BatchItemContext<unknown>["commit"];
  readonly startedAt: number;
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor(facts: ItemFacts, startedAt: number) {
    this.item = facts.item;
    this.index = facts.index;
    this.batchId = facts.batchId;
    this.attempt = facts.attempt;
    this.tenant = facts.tenant;
    this.commit = facts.commit;
    this.startedAt = startedAt;
  }

  get idempotencyKey(): string {
    return `${this.batchId}:${this.index}`;
  }

  // Made when it is asked for: most of a million items never ask.
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Runs the handler; a result or whatever it threw, or the reason of {@link giveUp}. */
  run(definition: BatchDefinition): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      definition.run(this).then(resolve, reject);
    });
  }

  /** Tells the handler to stop; its result still counts. */
  abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }

  /** Tells the handler to stop and waits for it no longer. */
  giveUp(reason: Error): void {
    this.abort(reason);
    this.#reject?.(reason);
  }
}

/** The error of an attempt that took too long. */
export function itemTimeout(timeoutMs: number): ApiForgeError {
  return durableError("batch_item_timeout", `The attempt took longer than ${timeoutMs} ms.`);
}
