import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { storeFixtures } from "../../store/fixtures.ts";
import { sqliteMemory } from "../../store/sqlite-fixture.ts";
import {
  accessTokenOf,
  ask,
  claimsOf,
  commit,
  dayMs,
  events,
  minuteMs,
  openNode,
  refresh,
  refreshTokenOf,
  start,
  tokenNode,
  verify,
} from "./token-node.ts";

const reused = {
  type: "session.ended",
  tenant: "ten_1",
  subject: "usr_1",
  clientId: null,
  reason: "refresh_token_reuse",
};
const shape = /^af_rt_[0-9A-Za-z]{22}_\d+_[\w-]{43}$/;

describe.for(storeFixtures)("a session on $name", (fixture) => {
  test("has an access token that says who calls, and a refresh token", async () => {
    await using node = await openNode(fixture);
    const { sessionId, tokens } = await start(node, { role: "member", scopes: ["a", "b"] });
    expect(tokens).toMatchObject({ token_type: "Bearer", expires_in: 600, scope: "a b" });
    expect(tokens.refresh_token).toMatch(shape);
    const { principal, expiresAt } = await verify(node, tokens.access_token);
    expect(expiresAt).toBe(node.clock.now() + 600_000);
    expect(principal).toMatchObject({
      subject: "usr_1",
      tenant: "ten_1",
      role: "member",
      scopes: ["a", "b"],
    });
    expect(claimsOf(tokens.access_token)).toMatchObject({
      iss: "https://api.test",
      aud: "api",
      sid: sessionId,
      client_id: "first-party",
      jti: expect.stringMatching(/^tok_/),
    });
  });

  test("goes on with a successor for each refresh token", async () => {
    await using node = await openNode(fixture);
    let token = (await start(node)).tokens.refresh_token;
    const seen = new Set([token]);
    for (let turn = 1; turn <= 5; turn++) {
      await node.harness.advance(10 * minuteMs);
      token = refreshTokenOf(await refresh(node, token));
      expect(token).toMatch(shape);
      expect(seen).not.toContain(token);
      seen.add(token);
    }
    expect(await events(node.harness)).toEqual([]);
  });

  test("gives the same successor to a retry whose answer was lost", async () => {
    await using node = await openNode(fixture);
    const { tokens } = await start(node);
    const first = await refresh(node, tokens.refresh_token);
    await node.harness.advance(30_000);
    const again = await refresh(node, tokens.refresh_token);
    expect(refreshTokenOf(again)).toBe(refreshTokenOf(first));
    await verify(node, accessTokenOf(again));
    // And it is the one that goes on.
    expect(refreshTokenOf(await refresh(node, refreshTokenOf(again)))).toMatch(shape);
    expect(await events(node.harness)).toEqual([]);
  });

  test("gives all that refresh at once the same successor", async () => {
    await using node = await openNode(fixture);
    const { tokens } = await start(node);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => refresh(node, tokens.refresh_token)),
    );
    const successors = new Set(answers.map(refreshTokenOf));
    expect([...successors]).toEqual([expect.stringMatching(shape)]);
  });

  test("ends, with an event in the same commit, when a token comes back after the grace", async () => {
    await using node = await openNode(fixture);
    const { sessionId, tokens } = await start(node);
    const successor = refreshTokenOf(await refresh(node, tokens.refresh_token));
    await node.harness.advance(30_001);
    expect(await refresh(node, tokens.refresh_token)).toMatchObject({
      status: 400,
      body: { error: "invalid_grant" },
    });
    expect(await events(node.harness)).toEqual([{ ...reused, sessionId }]);
    expect(node.log.entries).toContainEqual(
      expect.objectContaining({
        level: "warn",
        fields: { sessionId, tenant: "ten_1", requestId: "req_token" },
      }),
    );
    // The whole family is gone, and is told of once.
    for (const token of [successor, tokens.refresh_token]) {
      expect(refreshTokenOf(await refresh(node, token))).toBe("(invalid_grant)");
    }
    expect(await events(node.harness)).toHaveLength(1);
  });

  test("ends when a token comes back whose successor was used, within the grace too", async () => {
    await using node = await openNode(fixture);
    const { sessionId, tokens } = await start(node);
    const second = refreshTokenOf(await refresh(node, tokens.refresh_token));
    const third = refreshTokenOf(await refresh(node, second));
    expect(refreshTokenOf(await refresh(node, tokens.refresh_token))).toBe("(invalid_grant)");
    expect(await events(node.harness)).toEqual([{ ...reused, sessionId }]);
    expect(refreshTokenOf(await refresh(node, third))).toBe("(invalid_grant)");
  });

  test("of eight that reuse a token at once, one ends it and tells of it", async () => {
    await using node = await openNode(fixture);
    const { tokens } = await start(node);
    await refresh(node, tokens.refresh_token);
    await node.harness.advance(minuteMs);
    await Promise.all(Array.from({ length: 8 }, () => refresh(node, tokens.refresh_token)));
    expect(await events(node.harness)).toHaveLength(1);
  });

  test("ends when it is not used for its idle time, and at its end however much it is used", async () => {
    await using node = await openNode(fixture, { idleTtl: "2d", sessionTtl: "5d" });
    const idle = (await start(node)).tokens.refresh_token;
    let used = (await start(node)).tokens.refresh_token;
    for (let day = 1; day <= 4; day++) {
      await node.harness.open.advance(dayMs);
      used = refreshTokenOf(await refresh(node, used));
      expect(used).toMatch(shape);
    }
    expect(refreshTokenOf(await refresh(node, idle))).toBe("(invalid_grant)");
    await node.harness.open.advance(dayMs);
    expect(refreshTokenOf(await refresh(node, used))).toBe("(invalid_grant)");
    expect(await events(node.harness)).toEqual([]);
  });

  test("can be ended by its owner alone, one or all", async () => {
    await using node = await openNode(fixture);
    const sessions = await Promise.all([start(node), start(node), start(node)]);
    const [one] = sessions;
    const owner = { tenant: "ten_1", subject: "usr_1" };
    const end = (subject: string, id?: string) =>
      commit(node, (tx) => node.tokens.endSessions(tx, { ...owner, subject }, id));
    expect(await end("usr_2", one.sessionId)).toBe(0);
    expect(await end("usr_2")).toBe(0);
    expect(await end("usr_1", one.sessionId)).toBe(1);
    expect(refreshTokenOf(await refresh(node, one.tokens.refresh_token))).toBe("(invalid_grant)");
    expect(await end("usr_1")).toBe(2);
    expect(await end("usr_1")).toBe(0);
    const ended = sessions.map(({ sessionId }) => ({ ...reused, sessionId, reason: "logout" }));
    expect(await events(node.harness)).toEqual(expect.arrayContaining(ended));
  });

  test("is not there when the commit that began it was rolled back", async () => {
    await using node = await openNode(fixture);
    let token: string | undefined;
    const undone = commit(node, async (tx) => {
      const session = { subject: "usr_1", tenant: "ten_1" };
      token = (await node.tokens.startSession(tx, session)).tokens.refresh_token;
      throw new Error("the password was changed meanwhile");
    });
    await expect(undone).rejects.toThrow("meanwhile");
    expect(token).toMatch(shape);
    expect(refreshTokenOf(await refresh(node, token))).toBe("(invalid_grant)");
  });

  test("is forgotten once nobody can use it", async () => {
    await using node = await openNode(fixture, { idleTtl: "2d" });
    await Promise.all([start(node), start(node)]);
    await node.harness.open.advance(dayMs);
    await start(node);
    await node.harness.open.advance(dayMs);
    const { sessions } = node.tokens.opened;
    expect(await commit(node, (tx) => sessions.sweep(tx, 10))).toBe(2);
    expect(await commit(node, (tx) => sessions.sweep(tx, 10))).toBe(0);
  });

  test("that a backup has set back revives no token that was used: what is newer than the store ends it", async () => {
    await using node = await openNode(fixture);
    const { sessionId, tokens } = await start(node);
    const second = refreshTokenOf(await refresh(node, tokens.refresh_token));
    const third = refreshTokenOf(await refresh(node, second));
    await commit(node, (tx) => tx.sql`update forge_sessions set generation = 0`);
    expect(refreshTokenOf(await refresh(node, third))).toBe("(invalid_grant)");
    expect(await events(node.harness)).toEqual([
      { ...reused, sessionId, reason: "store_set_back" },
    ]);
    for (const token of [tokens.refresh_token, second, third]) {
      expect(refreshTokenOf(await refresh(node, token))).toBe("(invalid_grant)");
    }
    expect(await events(node.harness)).toHaveLength(1);
  });

  test("is never written down so that its tokens could be made of it", async () => {
    await using node = await openNode(fixture);
    const { tokens } = await start(node);
    const second = refreshTokenOf(await refresh(node, tokens.refresh_token));
    const rows = await node.durable.read(
      "look",
      (reader) => reader.sql`select * from forge_sessions`,
    );
    const written = JSON.stringify(rows);
    for (const token of [tokens.refresh_token, second]) {
      expect(written).not.toContain(token?.split("_").slice(4).join("_"));
    }
    // Not by another deployment either, which has the rows and not the secret.
    const thief = await tokenNode(node.harness, { secret: "another secret of thirty-two chars" });
    expect(refreshTokenOf(await refresh(thief, second))).toBe("(invalid_grant)");
    expect(refreshTokenOf(await refresh(node, second))).toMatch(shape);
  });
});

describe("a refresh token", () => {
  test.each([
    ["nothing", () => ""],
    ["another form", () => "af_rt_x"],
    ["a generation to come", (token: string) => token.replace("_0_", "_1_")],
    [
      "a changed proof",
      (token: string) => token.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
    ],
    [
      "another session",
      (token: string) => token.replace(/^af_rt_.{22}/, `af_rt_${"0".repeat(22)}`),
    ],
  ])("that is %s proves nothing and ends nothing", async (_, change) => {
    await using node = await openNode(sqliteMemory);
    const token = (await start(node)).tokens.refresh_token ?? "";
    const answer = await refresh(node, change(token));
    expect(answer.status).toBe(400);
    expect(refreshTokenOf(await refresh(node, token))).toMatch(shape);
    expect(await events(node.harness)).toEqual([]);
  });

  test("gives fewer scopes when fewer are asked for, never more", async () => {
    await using node = await openNode(sqliteMemory);
    const { tokens } = await start(node, { scopes: ["a", "b"] });
    const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    const fewer = await ask(node, { ...form, scope: "b" });
    expect(claimsOf(accessTokenOf(fewer))).toMatchObject({ scope: "b" });
    const next = { ...form, refresh_token: refreshTokenOf(fewer) };
    expect(await ask(node, { ...next, scope: "a c" })).toMatchObject({
      status: 400,
      body: { error: "invalid_scope" },
    });
    // What was refused has exchanged nothing, and the session has all of its scopes still.
    expect(claimsOf(accessTokenOf(await ask(node, next)))).toMatchObject({ scope: "a b" });
  });

  test("of an app is exchanged for one that says so, as many libraries do, and for no other client", async () => {
    await using node = await openNode(sqliteMemory);
    const { tokens } = await start(node);
    const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    const wrong = [
      { ...form, client_id: "first-party", client_secret: "a" },
      { ...form, client_id: "other-party" },
    ];
    for (const asked of wrong) {
      expect(await ask(node, asked)).toMatchObject({ body: { error: "invalid_client" } });
    }
    const named = await ask(node, { ...form, client_id: "first-party" });
    expect(claimsOf(accessTokenOf(named))).toMatchObject({ client_id: "first-party" });
    const service = await ask(node, { grant_type: "client_credentials", client_id: "first-party" });
    expect(service).toMatchObject({ status: 401, body: { error: "invalid_client" } });
  });

  test("that its client must exchange is of no use to anybody else", async () => {
    await using node = await openNode(sqliteMemory);
    const [own, other] = await Promise.all(
      ["bff", "other"].map((name) =>
        commit(node, (tx) => node.tokens.registerClient(tx, { name, tenant: "ten_1" })),
      ),
    );
    const { tokens } = await start(node, { clientId: own?.clientId ?? "" });
    const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    const as = (client = own, secret = client?.clientSecret) => ({
      ...form,
      client_id: client?.clientId,
      client_secret: secret,
    });
    expect(await ask(node, form)).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    expect(await ask(node, as(own, "af_cs_wrong"))).toMatchObject({ status: 401 });
    expect(await ask(node, as(other))).toMatchObject({ body: { error: "invalid_grant" } });
    const answer = await ask(node, as());
    expect(claimsOf(accessTokenOf(answer))).toMatchObject({ client_id: own?.clientId });
  });
});

describe("whatever the order in which an owner and a thief present tokens", () => {
  /** By whom, which of the tokens that he has (0 the latest), and how long after the step before. */
  const step = fc.record({
    by: fc.constantFrom("owner", "thief"),
    back: fc.nat({ max: 3 }),
    waitMs: fc.constantFrom(0, 1_000, 29_000, 31_000),
  });

  test("a session that lives has had every exchange in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        await using node = await openNode(sqliteMemory);
        const first = (await start(node)).tokens.refresh_token ?? "";
        const held = { owner: [first], thief: [first] };
        // The model: generations by token, the one that holds, and when it was given out.
        const generations = new Map([[first, 0]]);
        let current = 0;
        let rotatedAt = node.clock.now();
        let isAlive = true;
        for (const { by, back, waitMs } of steps) {
          await node.harness.open.advance(waitMs);
          const tokens = held[by];
          const token = tokens[Math.max(0, tokens.length - 1 - back)] ?? first;
          const generation = generations.get(token) ?? -1;
          const now = node.clock.now();
          const answer = refreshTokenOf(await refresh(node, token));
          const isNext = generation === current;
          const isRetry = generation === current - 1 && now - rotatedAt <= 30_000;
          if (!isAlive || !(isNext || isRetry)) {
            isAlive = false;
            expect(answer).toBe("(invalid_grant)");
            continue;
          }
          if (isNext) {
            current += 1;
            rotatedAt = now;
            expect(generations.has(answer)).toBe(false);
            generations.set(answer, current);
          }
          expect(generations.get(answer)).toBe(current);
          tokens.push(answer);
        }
        expect(await events(node.harness)).toHaveLength(isAlive ? 0 : 1);
      }),
      { numRuns: 60 },
    );
  });
});
