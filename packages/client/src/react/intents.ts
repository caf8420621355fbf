import { ApiError } from "../api-error.ts";
import { newIdempotencyKey } from "../idempotency-key.ts";

/** How a submission stands. */
export interface SubmissionState<Result> {
  readonly isPending: boolean;
  /** Of the last success. */
  readonly result: Result | undefined;
  /** Of the last failure; undefined after a success. */
  readonly error: unknown;
}

interface Intent<Result> {
  /** The input as JSON, which tells whether another one is the same. */
  readonly text: string;
  readonly idempotencyKey: string;
  /** Undefined when nothing is on its way and the outcome is not known to be a success. */
  outcome: Promise<Result | undefined> | undefined;
}

const idle = { isPending: false, result: undefined, error: undefined } as const;

/** The intents of one form: which submissions are the same one, and under which key. */
export class Intents<Result> {
  readonly #tell: (state: SubmissionState<Result>) => void;
  #current: Intent<Result> | undefined;

  /** `tell` hears how the current intent stands. */
  constructor(tell: (state: SubmissionState<Result>) => void) {
    this.#tell = tell;
  }

  /** Runs `send` unless `input` means what is on its way or done already. */
  submit(
    input: unknown,
    send: (idempotencyKey: string) => Promise<Result>,
  ): Promise<Result | undefined> {
    const intent = this.#intentOf(JSON.stringify(input));
    intent.outcome ??= this.#run(intent, send);
    return intent.outcome;
  }

  reset(): void {
    this.#current = undefined;
    this.#tell(idle);
  }

  #intentOf(text: string): Intent<Result> {
    if (this.#current?.text !== text) {
      this.#current = { text, idempotencyKey: newIdempotencyKey(), outcome: undefined };
    }
    return this.#current;
  }

  async #run(
    intent: Intent<Result>,
    send: (idempotencyKey: string) => Promise<Result>,
  ): Promise<Result | undefined> {
    this.#tell({ ...idle, isPending: true });
    try {
      const result = await send(intent.idempotencyKey);
      if (this.#current === intent) this.#tell({ ...idle, result });
      return result;
    } catch (error) {
      intent.outcome = undefined;
      if (this.#current !== intent) return undefined;
      // A refusal is recorded under its key: trying again is another intent.
      if (error instanceof ApiError && error.isRefusal) this.#current = undefined;
      this.#tell({ ...idle, error });
      return undefined;
    }
  }
}
