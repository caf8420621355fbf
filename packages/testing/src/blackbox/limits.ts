import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { isInnerList, parseList, type Item } from "structured-headers";
import { z } from "zod";

import type { Check } from "./check.ts";
import { describeAnswer, fields, requestData, send, type Answer, type Fields } from "./exchange.ts";

/** A limit of a gateway, and callers who have spent nothing of it. */
export const limitTarget = z.strictObject({
  request: requestData,
  /** Requests that are admitted within the window. */
  limit: z.int().min(1),
  windowSeconds: z.int().min(1),
  /** Fields of callers that are counted apart; the window is long enough for every check to end within it. */
  callers: z.array(fields).min(7),
  /** Another limit whose window is a few seconds at most, for three of them are waited for. */
  shortWindow: z
    .strictObject({ request: requestData, limit: z.int().min(1), windowSeconds: z.int().min(1) })
    .optional(),
  /** `X-Rate-Limit-Limit`, `-Remaining` and `-Reset` are sent as well. */
  legacyFields: z.boolean().default(false),
});
export type LimitTarget = z.infer<typeof limitTarget>;

const pollMs = 5;
const windows = 3;

/**
 * What a gateway promises about a limit: that it is exact, and what it tells by the fields `RateLimit`
 * and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11) and `Retry-After`.
 */
export function limitChecks(url: string, target: LimitTarget): readonly Check[] {
  const { request, limit, windowSeconds } = target;
  const unused = [...target.callers];

  function fresh(): Fields {
    const caller = unused.shift();
    assert.ok(caller !== undefined, "the target names too few callers");
    return caller;
  }

  function call(caller: Fields): Promise<Answer> {
    return send(url, { ...request, headers: { ...request.headers, ...caller } });
  }

  async function useUp(caller: Fields): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    for (let count = 0; count < limit; count += 1) answers.push(await call(caller));
    return answers;
  }

  const checks: Check[] = [
    {
      name: "of more requests at once exactly the limit is admitted",
      async run() {
        const caller = fresh();
        const answers = await Promise.all(Array.from({ length: limit + 10 }, () => call(caller)));
        const admitted = answers.filter(isAdmitted);
        assert.equal(admitted.length, limit, "requests admitted");
      },
    },
    {
      name: "one by one the limit is admitted, and then no more",
      async run() {
        const caller = fresh();
        const admitted = (await useUp(caller)).filter(isAdmitted);
        assert.equal(admitted.length, limit, "requests admitted");
        assertRefused(await call(caller));
      },
    },
    {
      name: "every answer tells the policy and what is left of it",
      async run() {
        const caller = fresh();
        const answers = [...(await useUp(caller)), await call(caller)];
        const left = answers.map((answer) => {
          assert.deepEqual(policyOf(answer, target), { q: limit, w: windowSeconds });
          return standingOf(answer, target).remaining;
        });
        const expected = answers.map((_, index) => Math.max(0, limit - 1 - index));
        assert.deepEqual(left, expected, "r of RateLimit");
      },
    },
    {
      name: "a refusal says when to come again",
      async run() {
        const caller = fresh();
        await useUp(caller);
        const refused = await call(caller);
        const afterSeconds = retryAfter(refused);
        const { resetSeconds } = standingOf(refused, target);
        // Nodes that count together may do so in slots, of which the last one counts as a whole.
        const latestSeconds = Math.ceil(windowSeconds * 1.05);
        assert.ok(
          afterSeconds >= 1 && afterSeconds <= latestSeconds,
          `Retry-After in the window: ${afterSeconds}`,
        );
        assert.ok(afterSeconds >= resetSeconds, "Retry-After not before t of RateLimit");
      },
    },
    {
      name: "a caller who is over the limit takes nothing from another",
      async run() {
        const [loud, quiet] = [fresh(), fresh()];
        await useUp(loud);
        assertRefused(await call(loud));
        const admitted = (await useUp(quiet)).filter(isAdmitted);
        assert.equal(admitted.length, limit, "requests admitted of the other");
      },
    },
  ];
  if (target.legacyFields) {
    checks.push({
      name: "X-Rate-Limit-* tell the same",
      async run() {
        const answer = await call(fresh());
        const { remaining } = standingOf(answer, target);
        assert.equal(answer.headers["x-rate-limit-limit"], String(limit));
        assert.equal(answer.headers["x-rate-limit-remaining"], String(remaining));
        assert.match(answer.headers["x-rate-limit-reset"] ?? "none", /^\d{10}$/);
      },
    });
  }
  const { shortWindow } = target;
  if (shortWindow !== undefined) {
    checks.push({
      name: "no window, wherever it begins, has more; and who waits as told is admitted",
      async run() {
        const repeat = (): Promise<Answer> => send(url, shortWindow.request);
        const spans = await keepCalling(repeat, windows * shortWindow.limit);
        assertNoWindowHasMore(spans, shortWindow.limit, shortWindow.windowSeconds * 1_000);
      },
    });
  }
  return checks;
}

/** Between these two instants an admitted request was decided on. */
interface Span {
  readonly sentMs: number;
  readonly answeredMs: number;
}

/** Calls one by one until `count` are admitted. */
async function keepCalling(call: () => Promise<Answer>, count: number): Promise<readonly Span[]> {
  const admitted: Span[] = [];
  let openAtMs: number | undefined;
  while (admitted.length < count) {
    const sentMs = performance.now();
    const answer = await call();
    const answeredMs = performance.now();
    if (isAdmitted(answer)) {
      admitted.push({ sentMs, answeredMs });
      openAtMs = undefined;
      continue;
    }
    assert.ok(
      openAtMs === undefined || sentMs <= openAtMs,
      `a request after Retry-After must be admitted: ${describeAnswer(answer)}`,
    );
    const toldMs = answeredMs + retryAfter(answer) * 1_000;
    openAtMs = Math.min(openAtMs ?? toldMs, toldMs);
    // Polling at the speed of the line would measure the line; what is asserted does not depend on it.
    await delay(pollMs);
  }
  return admitted;
}

/**
 * True for every machine, however slow: `limit` + 1 requests that were all sent after one instant and
 * all answered before another less than a window later were in one window.
 */
function assertNoWindowHasMore(spans: readonly Span[], limit: number, windowMs: number): void {
  for (const [index, last] of spans.entries()) {
    const first = spans[index - limit];
    if (first === undefined) continue;
    const withinMs = last.answeredMs - first.sentMs;
    assert.ok(withinMs >= windowMs, `${limit + 1} requests were admitted within ${withinMs} ms`);
  }
}

function isAdmitted(answer: Answer): boolean {
  const { status } = answer;
  assert.ok(status === 429 || status < 400, `neither admitted nor 429: ${describeAnswer(answer)}`);
  return status !== 429;
}

function assertRefused(answer: Answer): void {
  assert.equal(answer.status, 429, `it must be refused: ${describeAnswer(answer)}`);
}

function retryAfter(refused: Answer): number {
  assertRefused(refused);
  const text = refused.headers["retry-after"] ?? "missing";
  assert.match(text, /^\d+$/, "Retry-After in seconds");
  return Number(text);
}

function policyOf(answer: Answer, target: LimitTarget): { q: unknown; w: unknown } {
  const [, parameters] = ourItem("ratelimit-policy", answer, target);
  return { q: parameters.get("q"), w: parameters.get("w") };
}

function standingOf(
  answer: Answer,
  target: LimitTarget,
): { remaining: number; resetSeconds: number } {
  const [, parameters] = ourItem("ratelimit", answer, target);
  const [r, t] = [parameters.get("r"), parameters.get("t") ?? 0];
  assert.ok(typeof r === "number" && typeof t === "number", "r and t of RateLimit are numbers");
  return { remaining: r, resetSeconds: t };
}

/** The item of a field that is about the target's policy: the one with its numbers, or of its name. */
function ourItem(field: string, answer: Answer, target: LimitTarget): Item {
  const names = items("ratelimit-policy", answer)
    .filter(([, all]) => all.get("q") === target.limit && all.get("w") === target.windowSeconds)
    .map(([name]) => name);
  const found = items(field, answer).find(([name]) => names.includes(name));
  assert.ok(found !== undefined, `${field} has no item of the policy: ${answer.headers[field]}`);
  assert.equal(typeof found[0], "string", `an item of ${field} is a String`);
  return found;
}

function items(field: string, { headers }: Answer): readonly Item[] {
  const text = headers[field];
  assert.ok(text !== undefined, `${field} is missing`);
  return parseList(text).filter((item): item is Item => !isInnerList(item));
}
