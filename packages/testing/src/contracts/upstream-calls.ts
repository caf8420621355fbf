import { expect, test } from "vitest";
import type { UpstreamAnswer, UpstreamCallAsk } from "apiforge/internal/store";
import type { StoreFixture } from "./fixture.ts";

const leaseMs = 15_000;
const dayMs = 86_400_000;
const answer: UpstreamAnswer = {
  status: 201,
  fields: ["content-type", "application/octet-stream"],
  body: Buffer.from([0, 255, 10, 39]),
};

/** Asks under the first key, with the given differences. */
function ask(differences: Partial<UpstreamCallAsk> = {}): UpstreamCallAsk {
  const [digest, fingerprint] = [bytes(1), bytes(2)];
  return { digest, fingerprint, key: "key-1", leaseMs, mayRepeat: false, ...differences };
}

function bytes(value: number): Buffer {
  return Buffer.alloc(16, value);
}

const digest = bytes(1);
const first = { digest, fence: 1 };

/** Registers the tests of what is known of calls of upstreams. */
export function upstreamCallsContract(fixture: StoreFixture): void {
  test("of many who ask at once under one key one claims it, and others keys of their own", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        upstreamCalls.claim(ask({ digest: bytes(1 + (n % 2)), mayRepeat: true })),
      ),
    );
    const outcomes = claims.map(({ outcome }) => outcome).toSorted();
    expect(outcomes).toEqual([
      ...Array.from({ length: 2 }, () => "claimed"),
      ...Array.from({ length: 18 }, () => "in_flight"),
    ]);
  });

  test("an answer is there as it was, bytes and all, for everybody who asks after it", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    expect(await upstreamCalls.claim(ask())).toEqual({ outcome: "claimed", fence: 1 });
    await upstreamCalls.answer(first, answer);
    for (const asked of [ask(), ask({ mayRepeat: true }), ask({ fingerprint: bytes(9) })]) {
      const claim = await upstreamCalls.claim(asked);
      if (claim.outcome !== "answered") expect.unreachable(claim.outcome);
      expect(Buffer.from(claim.fingerprint)).toEqual(bytes(2));
      expect({ ...claim.answer, body: Buffer.from(claim.answer.body) }).toEqual(answer);
    }
  });

  test("an unknown outcome stays unknown, unless the call may be repeated with the same content", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.giveUp(first);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "unknown" });
    const other = ask({ fingerprint: bytes(9), mayRepeat: true });
    expect(await upstreamCalls.claim(other)).toMatchObject({ outcome: "unknown" });
    const again = ask({ mayRepeat: true });
    expect(await upstreamCalls.claim(again)).toEqual({ outcome: "claimed", fence: 2 });
    expect(await upstreamCalls.claim(again)).toMatchObject({ outcome: "in_flight" });
  });

  test("what a call that was repeated says late counts for nothing", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.giveUp(first);
    await upstreamCalls.claim(ask({ mayRepeat: true }));
    await upstreamCalls.answer(first, { ...answer, status: 200 });
    await upstreamCalls.release(first);
    await upstreamCalls.giveUp(first);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "in_flight" });
    await upstreamCalls.answer({ digest, fence: 2 }, answer);
    expect(await upstreamCalls.claim(ask())).toMatchObject({
      outcome: "answered",
      answer: { status: 201 },
    });
  });

  test("an answer that came is not taken back", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.answer(first, answer);
    await upstreamCalls.giveUp(first);
    await upstreamCalls.release(first);
    await upstreamCalls.answer(first, { ...answer, status: 500 });
    expect(await upstreamCalls.claim(ask())).toMatchObject({ answer: { status: 201 } });
  });

  test("a released key is free, but not of a call that had been made before", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.release(first);
    expect(await upstreamCalls.claim(ask())).toEqual({ outcome: "claimed", fence: 1 });
    await upstreamCalls.giveUp(first);
    await upstreamCalls.claim(ask({ mayRepeat: true }));
    await upstreamCalls.release({ digest, fence: 2 });
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "unknown" });
  });

  test("a call that nobody renews is unknown after its lease, and may still be answered", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.claim(ask({ digest: bytes(5) }));
    await open.advance(leaseMs - 1);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "in_flight" });
    await upstreamCalls.renew([first, { digest: bytes(5), fence: 7 }], leaseMs);
    await open.advance(1);
    const other = await upstreamCalls.claim(ask({ digest: bytes(5) }));
    expect(other).toMatchObject({ outcome: "unknown" });
    await open.advance(leaseMs - 2);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "in_flight" });
    await open.advance(1);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "unknown" });
    await upstreamCalls.answer(first, answer);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "answered" });
  });

  test("one that is out of its lease may be repeated, once", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await open.advance(leaseMs);
    const claims = await Promise.all(
      Array.from({ length: 5 }, () => upstreamCalls.claim(ask({ mayRepeat: true }))),
    );
    expect(claims.filter(({ outcome }) => outcome === "claimed")).toEqual([
      { outcome: "claimed", fence: 2 },
    ]);
  });

  test("are listed, oldest first, with how they stand", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    const claim = (n: number) => upstreamCalls.claim(ask({ digest: bytes(n), key: `key-${n}` }));
    await claim(1);
    await open.advance(1);
    await claim(2);
    await upstreamCalls.giveUp({ digest: bytes(2), fence: 1 });
    await open.advance(leaseMs - 1);
    for (const n of [3, 4, 5]) await claim(n);
    await upstreamCalls.answer({ digest: bytes(4), fence: 1 }, answer);
    await upstreamCalls.giveUp({ digest: bytes(5), fence: 1 });
    await upstreamCalls.settle(bytes(5), { found: "nothing_done" });
    const all = await upstreamCalls.list({ standing: "any", limit: 10 });
    expect(all.map(({ key, standing, times }) => [key, standing, times])).toEqual([
      ["key-1", "unknown", 1],
      ["key-2", "unknown", 1],
      ["key-3", "in_flight", 1],
      ["key-4", "answered", 1],
      ["key-5", "free", 1],
    ]);
    expect(Buffer.from(all[0]?.digest ?? [])).toEqual(bytes(1));
    expect(all[1]?.createdAt).toBe((all[0]?.createdAt ?? 0) + 1);
    const unknown = await upstreamCalls.list({ standing: "unknown", limit: 10 });
    expect(unknown.map(({ key }) => key)).toEqual(["key-1", "key-2"]);
    expect(await upstreamCalls.list({ standing: "unknown", limit: 1 })).toHaveLength(1);
  });

  test("an unknown one that is settled has the answer that was found, and says nothing else any more", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.giveUp(first);
    expect(await upstreamCalls.settle(digest, { found: "answer", answer })).toBe("unknown");
    await upstreamCalls.answer(first, { ...answer, status: 500 });
    const claim = await upstreamCalls.claim(ask());
    if (claim.outcome !== "answered") expect.unreachable(claim.outcome);
    expect({ ...claim.answer, body: Buffer.from(claim.answer.body) }).toEqual(answer);
    expect(await upstreamCalls.settle(digest, { found: "nothing_done" })).toBe("answered");
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "answered" });
  });

  test("one that did nothing is free for any content, for one caller, and for its own time", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await open.advance(leaseMs);
    expect(await upstreamCalls.settle(digest, { found: "nothing_done" })).toBe("unknown");
    const other = ask({ fingerprint: bytes(9) });
    const claims = await Promise.all([upstreamCalls.claim(other), upstreamCalls.claim(other)]);
    expect(claims.map(({ outcome }) => outcome).toSorted()).toEqual(["claimed", "in_flight"]);
    // What the call before says late is not of this one.
    await upstreamCalls.answer(first, answer);
    expect(await upstreamCalls.claim(other)).toMatchObject({ outcome: "in_flight" });
    await upstreamCalls.answer({ digest, fence: 2 }, answer);
    const { fingerprint } = (await upstreamCalls.claim(ask())) as { fingerprint: Uint8Array };
    expect(Buffer.from(fingerprint)).toEqual(bytes(9));
    await open.advance(dayMs - leaseMs + 1);
    expect(await upstreamCalls.sweep(dayMs, 10)).toBe(0);
  });

  test("one that was freed is free again when nothing was done again, and unknown when nobody knows", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.giveUp(first);
    await upstreamCalls.settle(digest, { found: "nothing_done" });
    expect(await upstreamCalls.claim(ask())).toEqual({ outcome: "claimed", fence: 2 });
    await upstreamCalls.release({ digest, fence: 2 });
    expect(await upstreamCalls.claim(ask())).toEqual({ outcome: "claimed", fence: 3 });
    await upstreamCalls.giveUp({ digest, fence: 3 });
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "unknown" });
  });

  test("what is under way, or is not there, is not settled", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    const settlements = [{ found: "nothing_done" }, { found: "answer", answer }] as const;
    await upstreamCalls.claim(ask());
    for (const settlement of settlements) {
      expect(await upstreamCalls.settle(digest, settlement)).toBe("in_flight");
      expect(await upstreamCalls.settle(bytes(7), settlement)).toBeUndefined();
      expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "in_flight" });
    }
  });

  test("old ones are swept, others not", async () => {
    await using open = await fixture.open();
    const { upstreamCalls } = open.store;
    await upstreamCalls.claim(ask());
    await upstreamCalls.answer(first, answer);
    await upstreamCalls.claim(ask({ digest: bytes(3) }));
    await open.advance(dayMs);
    await upstreamCalls.claim(ask({ digest: bytes(4) }));
    await open.advance(1);
    expect(await upstreamCalls.sweep(dayMs, 1)).toBe(1);
    expect(await upstreamCalls.sweep(dayMs, 10)).toBe(1);
    expect(await upstreamCalls.sweep(dayMs, 10)).toBe(0);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "claimed" });
  });

  if (!fixture.persistent) return;

  test("a killed process leaves its calls behind: in flight at most for their lease, then unknown", async () => {
    await using open = await fixture.open();
    await open.store.upstreamCalls.claim(ask());
    await open.store.upstreamCalls.claim(ask({ digest: bytes(5) }));
    await open.store.upstreamCalls.answer({ digest: bytes(5), fence: 1 }, answer);
    await open.crash();
    const { upstreamCalls, capabilities } = open.store;
    const atOnce = capabilities.singleProcess ? "unknown" : "in_flight";
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: atOnce });
    await open.advance(leaseMs);
    expect(await upstreamCalls.claim(ask())).toMatchObject({ outcome: "unknown" });
    expect(await upstreamCalls.claim(ask({ digest: bytes(5) }))).toMatchObject({
      outcome: "answered",
    });
  });
}
