import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { z } from "zod";

import type { Check } from "./check.ts";
import {
  describeAnswer,
  fields,
  newMark,
  requestData,
  send,
  withMark,
  type Answer,
  type Fields,
  type RequestData,
} from "./exchange.ts";

/** Where a gateway takes idempotency keys, and who calls. */
export const idempotencyTarget = z.strictObject({
  /** A write that leaves its `{mark}` behind once for each time that it is executed. */
  create: requestData,
  /** Another body that the same route accepts. */
  otherBody: z.unknown(),
  /** Reads what the caller of `create` has left: a body that contains each `{mark}` once per effect. */
  effects: requestData,
  /** Fields of callers to whom the same key is another one; their reads see their own effects. */
  otherCallers: z.array(fields),
  /** Another write of the same caller, to which the same key is another one. */
  otherRoute: requestData.optional(),
  /** A write that is not executed without a key. */
  keyRequired: requestData.optional(),
  /** A write that answers 5xx to the first request with a `{mark}` and leaves nothing, and 2xx to the second. */
  failsOnce: requestData.optional(),
  /** Default `Idempotency-Key`. */
  field: z.string().default("Idempotency-Key"),
  /** Another field that means the same. */
  alias: z.string().optional(),
  /** A key without quotes means the same as one in quotes. */
  bareKeys: z.boolean().default(false),
  /** The field that marks a replay; its value is `true`. */
  replayedField: z.string().optional(),
});
export type IdempotencyTarget = z.infer<typeof idempotencyTarget>;

const parallel = 100;

/**
 * What a gateway promises about `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): one
 * effect for a key, one answer for all who repeat, and a key that belongs to a caller and a route.
 */
export function idempotencyChecks(url: string, target: IdempotencyTarget): readonly Check[] {
  const { create, otherBody, effects, field } = target;

  function keyed(request: RequestData, key: string, mark: string, more: Fields = {}) {
    return send(url, withMark(request, mark, { [field]: key, ...more }));
  }

  async function countOf(mark: string, more: Fields = {}): Promise<number> {
    const answer = await send(url, withMark(effects, mark, more));
    assert.ok(isSuccess(answer), `the effects must be readable: ${describeAnswer(answer)}`);
    return answer.body.split(mark).length - 1;
  }

  async function assertEffects(mark: string, expected: number, more: Fields = {}): Promise<void> {
    assert.equal(await countOf(mark, more), expected, "number of effects");
  }

  const checks: Check[] = [
    {
      name: "a repeat has the answer of the first and no effect of its own",
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        assertReplay(await keyed(create, key, mark), first, target);
        await assertEffects(mark, 1);
      },
    },
    {
      name: `of ${parallel} at once one is executed; the others get its answer or 409`,
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const answers = await Promise.all(
          Array.from({ length: parallel }, () => keyed(create, key, mark)),
        );
        const answered = answers.filter(({ status }) => status !== 409);
        const [first] = answered;
        assert.ok(first !== undefined, "one of them must be executed");
        assertSuccess(first);
        for (const answer of answered) assertSameAnswer(answer, first);
        await assertEffects(mark, 1);
        assertReplay(await keyed(create, key, mark), first, target);
      },
    },
    {
      name: "a key that comes with another payload is 422 and has no effect",
      async run() {
        const [key, mark, otherMark] = [newKey(), newMark(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        const other = await keyed({ ...create, body: otherBody }, key, otherMark);
        assertStatus(other, 422);
        await assertEffects(otherMark, 0);
        assertReplay(await keyed(create, key, mark), first, target);
      },
    },
    {
      name: "another key is another request",
      async run() {
        const mark = newMark();
        assertSuccess(await keyed(create, newKey(), mark));
        assertSuccess(await keyed(create, newKey(), mark));
        await assertEffects(mark, 2);
      },
    },
    {
      name: "a read ignores the field",
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const read = () => keyed(effects, key, mark);
        assertSuccess(await read());
        assertSuccess(await keyed(create, newKey(), mark));
        const second = await read();
        assert.ok(second.body.includes(mark), "a read must show what is there now");
      },
    },
    {
      name: "a key that is empty, or has no end, is 400 and has no effect",
      async run() {
        for (const key of ['""', '"open', `"${"x".repeat(300)}"`]) {
          const mark = newMark();
          assertStatus(await keyed(create, key, mark), 400);
          await assertEffects(mark, 0);
        }
      },
    },
  ];

  target.otherCallers.forEach((caller, index) => {
    checks.push({
      name: `the same key of another caller (${index + 1}) is another key`,
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        const before = await countOf(mark, caller);
        const other = await keyed(create, key, mark, caller);
        assertSuccess(other);
        assert.notEqual(other.body, first.body, "an answer of another caller must not be replayed");
        await assertEffects(mark, before + 1, caller);
      },
    });
  });

  const { otherRoute, keyRequired, failsOnce, alias } = target;
  if (otherRoute !== undefined) {
    checks.push({
      name: "the same key on another route is another key",
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        const other = await keyed(otherRoute, key, mark);
        assertSuccess(other);
        assert.notEqual(other.body, first.body, "an answer of another route must not be replayed");
      },
    });
  }
  if (keyRequired !== undefined) {
    checks.push({
      name: "a request without a key is 400 where one is required",
      async run() {
        const mark = newMark();
        assertStatus(await send(url, withMark(keyRequired, mark)), 400);
        await assertEffects(mark, 0);
      },
    });
  }
  if (failsOnce !== undefined) {
    checks.push({
      name: "a failure of the server is not recorded: the repeat is executed",
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const failed = await keyed(failsOnce, key, mark);
        assert.ok(failed.status >= 500, `the first must fail: ${describeAnswer(failed)}`);
        await assertEffects(mark, 0);
        assertSuccess(await keyed(failsOnce, key, mark));
        await assertEffects(mark, 1);
      },
    });
  }
  if (alias !== undefined) {
    checks.push({
      name: `${alias} means the same as ${field}`,
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        const repeat = await send(url, withMark(create, mark, { [alias]: key }));
        assertReplay(repeat, first, target);
        await assertEffects(mark, 1);
      },
    });
  }
  if (target.bareKeys) {
    checks.push({
      name: "a key without quotes is the same as in quotes",
      async run() {
        const [key, mark] = [newKey(), newMark()];
        const first = await keyed(create, key, mark);
        assertSuccess(first);
        assertReplay(await keyed(create, key.replaceAll('"', ""), mark), first, target);
        await assertEffects(mark, 1);
      },
    });
  }
  return checks;
}

/** A key as a String of RFC 9651. */
function newKey(): string {
  return `"${randomUUID()}"`;
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

function assertSuccess(answer: Answer): void {
  assert.ok(isSuccess(answer), `it must be executed: ${describeAnswer(answer)}`);
}

function assertStatus(answer: Answer, status: number): void {
  assert.equal(answer.status, status, `it must be ${status}: ${describeAnswer(answer)}`);
}

function assertSameAnswer(answer: Answer, first: Answer): void {
  assert.deepEqual(facts(answer), facts(first), "a repeat must have the answer of the first");
}

function facts({ status, headers, body }: Answer): object {
  return { status, body, type: headers["content-type"], location: headers["location"] };
}

function assertReplay(
  answer: Answer,
  first: Answer,
  { replayedField }: Pick<IdempotencyTarget, "replayedField">,
): void {
  assertSameAnswer(answer, first);
  if (replayedField === undefined) return;
  const name = replayedField.toLowerCase();
  assert.equal(answer.headers[name], "true", `${replayedField} of a replay`);
  assert.equal(first.headers[name], undefined, `${replayedField} of the first answer`);
}
