import { expect, test } from "vitest";

import { Authoriser, type AuthoriserParts } from "../../../src/edge/auth/authoriser.ts";
import type { Revocations } from "../../../src/edge/auth/revocations.ts";
import type { VerifiedToken } from "../../../src/edge/auth/token-verifier.ts";
import { ManualClock } from "../edge-harness.ts";

type Options = Partial<AuthoriserParts<VerifiedToken>>;

function verified(subject: string, expiresAt = Number.POSITIVE_INFINITY): VerifiedToken {
  return { principal: { subject, tenant: "ten_1", role: "", scopes: [] }, expiresAt };
}

/** An authoriser whose verifications wait until the test lets them go on. */
function held(options: Options = {}) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const waiting: PromiseWithResolvers<VerifiedToken>[] = [];
  const authoriser = new Authoriser({
    clock,
    revocations: undefined,
    enrich: undefined,
    maxAgeMs: 300_000,
    maxEntries: 100,
    verify: (credential) => {
      asked.push(credential);
      const next = Promise.withResolvers<VerifiedToken>();
      waiting.push(next);
      return next.promise;
    },
    ...options,
  });
  return { authoriser, clock, asked, waiting };
}

/** An authoriser that verifies at once. */
function open(options: Options = {}) {
  const asked: string[] = [];
  const verify = async (credential: string) => {
    asked.push(credential);
    return verified(credential);
  };
  return { ...held({ verify, ...options }), asked };
}

class Seen implements Revocations {
  epoch = 0;
  fresh = true;
  refreshes = 0;
  onRefresh: () => void = () => undefined;

  lastOf(tenant: string): number {
    return tenant === "ten_1" ? this.epoch : 0;
  }

  isFresh(): boolean {
    return this.fresh;
  }

  async refresh(): Promise<void> {
    this.refreshes++;
    this.onRefresh();
  }
}

test("one verification serves all who bring a credential, at once and for 300 s", async () => {
  const { authoriser, clock, asked, waiting } = held();
  const first = Array.from({ length: 100 }, async () => authoriser.authorise("a"));
  waiting[0]?.resolve(verified("a"));
  const answers = await Promise.all(first);
  expect(new Set(answers).size).toBe(1);
  clock.advance(299_999);
  expect(authoriser.authorise("a")).toBe(answers[0]);
  expect(asked).toEqual(["a"]);
  clock.advance(1);
  expect(authoriser.authorise("a")).toBeInstanceOf(Promise);
  expect(asked).toEqual(["a", "a"]);
});

test("nothing is remembered past its expiry, and credentials are told apart", async () => {
  const { authoriser, clock, asked, waiting } = held();
  const [a, b] = [authoriser.authorise("a"), authoriser.authorise("b")];
  waiting[0]?.resolve(verified("a", clock.now() + 1_000));
  waiting[1]?.resolve(verified("b"));
  expect([(await a).principal.subject, (await b).principal.subject]).toEqual(["a", "b"]);
  clock.advance(999);
  expect(authoriser.authorise("a")).toBe(await a);
  clock.advance(1);
  expect(authoriser.authorise("a")).toBeInstanceOf(Promise);
  expect(authoriser.authorise("b")).toBe(await b);
  expect(asked).toEqual(["a", "b", "a"]);
});

test("a refusal reaches all who wait for it, and is not remembered", async () => {
  const { authoriser, asked, waiting } = held();
  const refused = [authoriser.authorise("a"), authoriser.authorise("a")];
  waiting[0]?.reject(new Error("refused"));
  for (const answer of refused) await expect(answer).rejects.toThrow("refused");
  const again = authoriser.authorise("a");
  waiting[1]?.resolve(verified("a"));
  expect((await again).principal.subject).toBe("a");
  expect(asked).toEqual(["a", "a"]);
});

test("with an age of 0 every request is verified, and nobody asks for revocations", async () => {
  const revocations = new Seen();
  revocations.fresh = false;
  const { authoriser, asked } = open({ maxAgeMs: 0, revocations });
  await Promise.all([authoriser.authorise("a"), authoriser.authorise("a")]);
  expect([asked.length, revocations.refreshes]).toEqual([2, 0]);
});

test("a revocation ends what is remembered of its tenant", async () => {
  const revocations = new Seen();
  const { authoriser, asked } = open({ revocations });
  const before = await authoriser.authorise("a");
  expect(authoriser.authorise("a")).toBe(before);
  revocations.epoch = 1;
  const after = await authoriser.authorise("a");
  expect(after).not.toBe(before);
  expect(authoriser.authorise("a")).toBe(after);
  expect(asked).toEqual(["a", "a"]);
});

test("what is remembered waits for a look when the last one is too old", async () => {
  const revocations = new Seen();
  const { authoriser, asked } = open({ revocations });
  await authoriser.authorise("a");
  revocations.fresh = false;
  await authoriser.authorise("a");
  expect([asked.length, revocations.refreshes]).toEqual([1, 1]);
  revocations.onRefresh = () => (revocations.epoch = 1);
  await authoriser.authorise("a");
  expect([asked.length, revocations.refreshes]).toEqual([2, 2]);
});

test("without a look nothing that is remembered is trusted", async () => {
  const revocations = new Seen();
  const { authoriser, asked } = open({ revocations });
  await authoriser.authorise("a");
  revocations.fresh = false;
  revocations.onRefresh = () => {
    throw new Error("The store is away");
  };
  await authoriser.authorise("a");
  await authoriser.authorise("a");
  expect(asked).toEqual(["a", "a", "a"]);
});

test("a connection's last credential is known by its text, as long as what it proved holds", async () => {
  const revocations = new Seen();
  const { authoriser, clock } = open({ revocations, maxAgeMs: 1_000 });
  const [connection, other] = [{}, {}];
  const verifiedOnce = await authoriser.authorise("a", { connection, text: "Bearer a" });
  expect(authoriser.lastOn(connection, "Bearer a")).toBeUndefined();
  const see = () => authoriser.authorise("a", { connection, text: "Bearer a" });
  await see();
  expect(authoriser.lastOn(connection, "Bearer a")).toBe(verifiedOnce);
  expect(authoriser.lastOn(connection, "Bearer b")).toBeUndefined();
  expect(authoriser.lastOn(other, "Bearer a")).toBeUndefined();
  revocations.fresh = false;
  expect(authoriser.lastOn(connection, "Bearer a")).toBeUndefined();
  revocations.fresh = true;
  revocations.epoch = 1;
  expect(authoriser.lastOn(connection, "Bearer a")).toBeUndefined();
  await see();
  const again = see();
  expect(again).not.toBe(verifiedOnce);
  expect(authoriser.lastOn(connection, "Bearer a")).toBe(again);
  clock.advance(1_000);
  expect(authoriser.lastOn(connection, "Bearer a")).toBeUndefined();
});

test("with an age of 0 no connection's credential is known", async () => {
  const { authoriser } = open({ maxAgeMs: 0 });
  const connection = {};
  await authoriser.authorise("a", { connection, text: "a" });
  await authoriser.authorise("a", { connection, text: "a" });
  expect(authoriser.lastOn(connection, "a")).toBeUndefined();
});

test("a verification that began before a revocation is not remembered, nor taken by later requests", async () => {
  const revocations = new Seen();
  const { authoriser, asked, waiting } = held({ revocations });
  const early = authoriser.authorise("a");
  revocations.epoch = 1;
  const late = authoriser.authorise("a");
  waiting[0]?.resolve(verified("before"));
  expect((await early).principal.subject).toBe("before");
  await Promise.resolve();
  waiting[1]?.reject(new Error("revoked"));
  await expect(late).rejects.toThrow("revoked");
  expect(asked).toEqual(["a", "a"]);
});

test("what the deployment adds to a caller is asked for once and remembered", async () => {
  let asked = 0;
  const { authoriser } = open({
    enrich: async (principal) => ({ ...principal, plan: `plan-${++asked}`, context: { asked } }),
  });
  const first = await authoriser.authorise("a");
  expect(first.principal).toMatchObject({ subject: "a", plan: "plan-1", context: { asked: 1 } });
  expect(authoriser.authorise("a")).toBe(first);
});
