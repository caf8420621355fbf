import fc from "fast-check";
import { expect } from "vitest";
import type { UpstreamCallClaim, UpstreamCallRef } from "apiforge/internal/store";
import type { OpenStore, StoreFixture } from "../contracts/index.ts";
import { fuzzOptions } from "./runs.ts";

const leaseMs = 1_000;

/** One step of a run: what somebody does with a key, or time. */
type Step =
  | {
      readonly does: "claim";
      readonly key: number;
      readonly content: number;
      readonly repeat: boolean;
    }
  | {
      readonly does: "answer" | "giveUp" | "release" | "renew";
      readonly key: number;
      readonly call: number;
    }
  | { readonly does: "settle"; readonly key: number; readonly isDone: boolean }
  | { readonly does: "wait"; readonly ms: number };

/** What is to be known of a key. */
interface Known {
  state: "in flight" | "answered" | "unknown";
  content: number;
  fence: number;
  untilAt: number;
  status: number;
  /** The call that somebody found to have done nothing; 0 for none. */
  freed: number;
}

const key = fc.nat({ max: 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constant("claim" as const),
      key,
      content: fc.nat({ max: 1 }),
      repeat: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      does: fc.constantFrom("answer", "giveUp", "release", "renew"),
      key,
      // Calls that were made before speak late.
      call: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("settle" as const), key, isDone: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant("wait" as const),
      ms: fc.constantFrom(1, leaseMs - 1, leaseMs),
    }),
  },
);

/**
 * Does the same random steps with the calls of a store and with what should be known of them, and
 * compares what claims find. The law: of a key's calls at most one is under way, and none is made after
 * another whose outcome is not known, but where that may be repeated or was found to have done nothing.
 * @throws Error with the seed and the shortest list of steps that shows a difference.
 */
export async function checkUpstreamCallsModel(fixture: StoreFixture, runs: number): Promise<void> {
  await using open = await fixture.open();
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
      // Keys of its own: one store serves all runs.
      run += 1;
      const model = new UpstreamCallsModel();
      for (const next of steps) {
        const expected = model.take(next);
        const found = await act(open, run, next);
        if (next.does === "claim" || next.does === "settle") expect(found).toEqual(expected);
      }
    }),
    fuzzOptions(runs),
  );
}

class UpstreamCallsModel {
  readonly #known = new Map<number, Known>();
  #now = 0;

  /** What a claim or a settlement finds; undefined for other steps. */
  take(next: Step): string | undefined {
    if (next.does === "wait") this.#now += next.ms;
    else if (next.does === "claim") return this.#claim(next);
    else if (next.does === "settle") return this.#settle(next);
    else this.#end(next.does, this.#known.get(next.key), next.key, next.call);
    return undefined;
  }

  #claim({ key: of, content, repeat }: Extract<Step, { does: "claim" }>): string {
    const known = this.#known.get(of);
    if (known === undefined) {
      const untilAt = this.#now + leaseMs;
      this.#known.set(of, { state: "in flight", content, fence: 1, untilAt, status: 0, freed: 0 });
      return "claimed 1";
    }
    const isFree = known.state === "unknown" && known.freed === known.fence;
    if (known.state === "answered") return `answered ${known.content} ${known.status}`;
    const isUnknown = known.state === "unknown" || known.untilAt <= this.#now;
    if (!isUnknown) return `in_flight ${known.content}`;
    if (!isFree && (!repeat || content !== known.content)) return `unknown ${known.content}`;
    known.content = content;
    known.state = "in flight";
    known.fence += 1;
    known.untilAt = this.#now + leaseMs;
    return `claimed ${known.fence}`;
  }

  #settle({ key: of, isDone }: Extract<Step, { does: "settle" }>): string | undefined {
    const known = this.#known.get(of);
    if (known === undefined) return undefined;
    if (known.state === "answered") return "answered";
    if (known.state === "unknown" && known.freed === known.fence) return "free";
    if (known.state === "in flight" && known.untilAt > this.#now) return "in_flight";
    known.state = isDone ? "answered" : "unknown";
    if (isDone) known.status = 299;
    else known.freed = known.fence;
    return "unknown";
  }

  #end(
    how: "answer" | "giveUp" | "release" | "renew",
    known: Known | undefined,
    of: number,
    call: number,
  ): void {
    if (known === undefined || known.fence !== call) return;
    if (how === "renew") {
      known.untilAt = this.#now + leaseMs;
      return;
    }
    if (known.state === "answered") return;
    if (how === "release" && call === 1) this.#known.delete(of);
    else if (how === "answer") {
      known.state = "answered";
      known.status = 200 + call;
    } else {
      known.state = "unknown";
      if (how === "release" && known.freed === call - 1) known.freed = call;
    }
  }
}

async function act(open: OpenStore, run: number, next: Step): Promise<string | undefined> {
  const { upstreamCalls } = open.store;
  if (next.does === "wait") {
    await open.advance(next.ms);
    return undefined;
  }
  const digest = Buffer.alloc(16);
  digest.writeInt32BE(run, 0);
  digest.writeInt32BE(next.key, 4);
  if (next.does === "claim") {
    const fingerprint = Buffer.alloc(16, next.content);
    const ask = { digest, fingerprint, key: "key", leaseMs, mayRepeat: next.repeat };
    return shown(await upstreamCalls.claim(ask));
  }
  if (next.does === "settle") {
    const answer = { status: 299, fields: [], body: Buffer.alloc(0) };
    return upstreamCalls.settle(
      digest,
      next.isDone ? { found: "answer", answer } : { found: "nothing_done" },
    );
  }
  const ref: UpstreamCallRef = { digest, fence: next.call };
  if (next.does === "renew") await upstreamCalls.renew([ref], leaseMs);
  else if (next.does === "answer") {
    await upstreamCalls.answer(ref, { status: 200 + next.call, fields: [], body: Buffer.alloc(0) });
  } else await upstreamCalls[next.does](ref);
  return undefined;
}

function shown(claim: UpstreamCallClaim): string {
  if (claim.outcome === "claimed") return `claimed ${claim.fence}`;
  const content = claim.fingerprint[0];
  if (claim.outcome === "answered") return `answered ${content} ${claim.answer.status}`;
  return `${claim.outcome} ${content}`;
}
