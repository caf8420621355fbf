import type { Actor, Transaction } from "./transaction.ts";

/** A finished answer: bytes that the client gets and that a replay repeats. */
export interface Answer {
  readonly status: number;
  /** Content headers only, lower case; hop and request headers are never stored. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The idempotency key of one request with what it is compared by. */
export interface IdempotencyKey {
  readonly key: string;
  /** 16 bytes of tenant + principal + method + route + key. */
  readonly digest: Buffer;
  /** 16 bytes of method + route + canonical content. */
  readonly fingerprint: Uint8Array;
}

/** One writing request. */
export interface WriteRequest extends Actor {
  /** Route or command, for the log. */
  readonly label: string;
  readonly idempotency: IdempotencyKey | undefined;
  /**
   * Work before the transaction, such as taking in a body that arrives slowly; while it lasts the
   * key is in flight. Afterwards `idempotency` carries the fingerprint. `isAnswered`: the key has
   * an answer, so the request will not run.
   */
  prepare?(isAnswered: boolean): Promise<void>;
  /** The handler. What it returns is committed with its effects; a throw, or an answer of status 5xx, rolls them back. */
  run(tx: Transaction): Promise<Answer>;
  /** The answer to a refusal (an error of status 4xx) that the handler threw; recorded without effects. */
  refuse(error: unknown): Answer | undefined;
}

/** What became of a writing request. `seq` is undefined where nothing was committed. */
export type WriteOutcome =
  | {
      readonly outcome: "fresh" | "replayed";
      readonly answer: Answer;
      readonly seq: number | undefined;
    }
  | { readonly outcome: "in_flight" }
  | { readonly outcome: "mismatch" };
