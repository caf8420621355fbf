import { useCallback, useState } from "react";

import { Intents, type SubmissionState } from "./intents.ts";

/** What a submission hands to its call. */
export interface SubmitOptions {
  /** The same for every attempt at one intent; pass it on. */
  readonly idempotencyKey: string;
}

/** A form's submission and how it stands. */
export interface Submission<Input, Result> extends SubmissionState<Result> {
  /**
   * Sends `input`, once per intent: while it is on its way, and after it has succeeded, the same
   * input sends nothing. Where the outcome stayed unknown (no answer, 5xx), the same input is sent
   * again under the same key, so that it takes effect once. A refusal ends the intent.
   * Resolves with the result, or with undefined when it failed: `error` then says why.
   */
  readonly submit: (input: Input) => Promise<Result | undefined>;
  /** Forgets the intent, its result and its error: the same input then is another submission. */
  readonly reset: () => void;
}

/**
 * Submits what a user asks for with one idempotency key per intent, so that a double click sends one
 * request: `useSubmit((order: Order, options) => client.post("/orders", { body: order, ...options }))`.
 * `Input` is what JSON can say.
 */
export function useSubmit<Input, Result>(
  send: (input: Input, options: SubmitOptions) => Promise<Result>,
): Submission<Input, Result> {
  const [state, setState] = useState<SubmissionState<Result>>({
    isPending: false,
    result: undefined,
    error: undefined,
  });
  const [intents] = useState(() => new Intents<Result>(setState));
  const submit = useCallback(
    (input: Input) => intents.submit(input, (idempotencyKey) => send(input, { idempotencyKey })),
    [intents, send],
  );
  const reset = useCallback(() => intents.reset(), [intents]);
  return { ...state, submit, reset };
}
