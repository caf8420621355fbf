import { describe, expect, test } from "vitest";

import { ApiError } from "../src/index.ts";
import { Intents, type SubmissionState } from "../src/react/intents.ts";

interface Sent {
  readonly key: string;
  readonly answer: PromiseWithResolvers<string>;
}

function form() {
  const states: SubmissionState<string>[] = [];
  const sent: Sent[] = [];
  const intents = new Intents<string>((state) => states.push(state));
  const submit = (input: unknown) =>
    intents.submit(input, (key) => {
      const answer = Promise.withResolvers<string>();
      sent.push({ key, answer });
      return answer.promise;
    });
  return { intents, states, sent, submit };
}

const refused = new ApiError({ type: "t", code: "card_declined", message: "m", status: 402 });
const unknown = [
  new ApiError({ type: "t", code: "timeout", message: "m" }),
  new ApiError({ type: "t", code: "internal_error", message: "m", status: 500 }),
  new ApiError({ type: "t", code: "rate_limited", message: "m", status: 429 }),
  new Error("a bug"),
];

describe("one intent", () => {
  test("a double click sends once and gives both clicks the result", async () => {
    const { sent, states, submit } = form();
    const clicks = [submit({ to: "a" }), submit({ to: "a" })];
    expect(sent).toHaveLength(1);
    sent[0]?.answer.resolve("done");
    expect(await Promise.all(clicks)).toEqual(["done", "done"]);
    expect(await submit({ to: "a" })).toBe("done");
    expect(sent).toHaveLength(1);
    expect(states).toEqual([
      { isPending: true, result: undefined, error: undefined },
      { isPending: false, result: "done", error: undefined },
    ]);
  });

  test.each(unknown)("is sent again under its key after %s", async (error) => {
    const { sent, states, submit } = form();
    const first = submit(1);
    sent[0]?.answer.reject(error);
    expect(await first).toBeUndefined();
    expect(states.at(-1)).toEqual({ isPending: false, result: undefined, error });
    void submit(1);
    expect(sent.map(({ key }) => key)).toEqual([sent[0]?.key, sent[0]?.key]);
  });

  test("ends with a refusal", async () => {
    const { sent, submit, states } = form();
    const first = submit(1);
    sent[0]?.answer.reject(refused);
    await first;
    expect(states.at(-1)?.error).toBe(refused);
    void submit(1);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.key).not.toBe(sent[0]?.key);
  });

  test("ends with reset, whose late answer changes nothing", async () => {
    const { intents, sent, submit, states } = form();
    const first = submit(1);
    intents.reset();
    sent[0]?.answer.resolve("late");
    expect(await first).toBe("late");
    expect(states.at(-1)).toEqual({ isPending: false, result: undefined, error: undefined });
    void submit(1);
    expect(new Set(sent.map(({ key }) => key)).size).toBe(2);
  });

  test("another input is another intent", () => {
    const { sent, submit } = form();
    void submit({ to: "a" });
    void submit({ to: "b" });
    expect(new Set(sent.map(({ key }) => key)).size).toBe(2);
  });
});
