import { describe, expect, test, vi } from "vitest";

import { actor, Harness } from "../../durable/harness.ts";
import { storeFixtures } from "../../store/fixtures.ts";
import {
  accessTokenOf,
  ask,
  commit,
  dayMs,
  kidOf,
  minuteMs,
  openNode,
  register,
  start,
  tokenNode,
  verify,
  type TokenNode,
} from "./token-node.ts";

const hourMs = 60 * minuteMs;

async function published({ tokens }: TokenNode): Promise<(string | undefined)[]> {
  return (await tokens.keys.fresh()).keys.map(({ kid }) => kid);
}

/** An access token, as a session that begins now gets one. */
async function accessToken(node: TokenNode): Promise<string> {
  return (await start(node)).tokens.access_token;
}

describe.for(storeFixtures)("signing keys on $name", (fixture) => {
  test("are one for the whole deployment, and hold over a restart", async () => {
    await using harness = await Harness.open(fixture);
    const [one, two] = [await tokenNode(harness), await tokenNode(harness)];
    const [fromOne, fromTwo] = [await accessToken(one), await accessToken(two)];
    expect(kidOf(fromTwo)).toBe(kidOf(fromOne));
    await verify(one, fromTwo);
    await verify(two, fromOne);
    await verify(await tokenNode(harness), fromOne);
    expect(await published(two)).toEqual([kidOf(fromOne)]);
  });

  test("are known to all nodes when two make the first at once", async () => {
    await using harness = await Harness.open(fixture);
    const nodes = await Promise.all([tokenNode(harness), tokenNode(harness)]);
    await harness.open.advance(minuteMs);
    for (const from of nodes) {
      const token = await accessToken(from);
      for (const to of nodes) await expect(verify(to, token)).resolves.toBeDefined();
    }
  });

  test("are made and opened before a start's transaction, not inside of it", async () => {
    await using harness = await Harness.open(fixture);
    const { store } = harness;
    const transact = store.transact.bind(store);
    const uses = vi.fn<(inside: boolean) => void>();
    let isInside = false;
    store.transact = (label, work) =>
      transact(label, async (tx) => {
        isInside = true;
        return work(tx).finally(() => (isInside = false));
      });
    for (const name of ["generateKey", "importKey"] as const) {
      const real = crypto.subtle[name].bind(crypto.subtle) as (...given: unknown[]) => unknown;
      vi.spyOn(crypto.subtle, name).mockImplementation((...given: unknown[]) => {
        uses(isInside);
        return real(...given) as never;
      });
    }
    await tokenNode(harness);
    await tokenNode(harness);
    // The first start makes a key and reads it again, the second finds it.
    expect(uses.mock.calls).toEqual([[false], [false], [false]]);
    store.transact = transact;
    vi.restoreAllMocks();
  });

  test("are published as public parts, and kept so that the secret is needed to sign", async () => {
    await using node = await openNode(fixture);
    const { keys } = await node.tokens.keys.fresh();
    const [key] = keys;
    expect(Object.keys(key ?? {}).toSorted()).toEqual([
      "alg",
      "crv",
      "kid",
      "kty",
      "use",
      "x",
      "y",
    ]);
    const [row] = await node.durable.read(
      "look",
      (reader) => reader.sql`select * from forge_signing_keys`,
    );
    expect(JSON.stringify(row)).not.toMatch(/"d\\?"/);
    const other = await tokenNode(node.harness, { secret: "another secret of thirty-two chars" });
    const token = await accessToken(other);
    expect(kidOf(token)).not.toBe(key?.kid);
    // Nodes that disagree on the secret still take each other's tokens.
    await node.harness.open.advance(1_000);
    await verify(node, token);
    await verify(other, await accessToken(node));
  });

  test("follow each other: published two hours before, and until the last token has expired", async () => {
    await using node = await openNode(fixture, { keyLife: "1d" });
    const { keys } = node.tokens.opened;
    const maintain = () => commit(node, (tx) => keys.maintain(tx));
    const old = kidOf(await accessToken(node));
    await node.harness.open.advance(dayMs - 2 * hourMs);
    await maintain();
    expect(await published(node)).toEqual([old]);
    await node.harness.open.advance(1_000);
    await maintain();
    await node.harness.open.advance(minuteMs);
    const both = await published(node);
    expect(both).toEqual([old, expect.any(String)]);
    const last = await accessToken(node);
    expect(kidOf(last)).toBe(old);
    await node.harness.open.advance(2 * hourMs);
    expect(kidOf(await accessToken(node))).toBe(both[1]);
    expect(await published(node)).toEqual(both);
    // The longest life of an access token, and what a node's view may lag.
    await node.harness.open.advance(hourMs + 5 * minuteMs);
    await maintain();
    await node.harness.open.advance(minuteMs);
    expect(await published(node)).toEqual([both[1]]);
    const rows = await node.durable.read("look", (tx) => tx.sql`select * from forge_signing_keys`);
    expect(rows).toHaveLength(1);
  });

  test("are made by the commit of a session when nobody has maintained them", async () => {
    await using node = await openNode(fixture, { keyLife: "1d" });
    const old = kidOf(await accessToken(node));
    await node.harness.open.advance(30 * dayMs);
    const token = await accessToken(node);
    expect(kidOf(token)).not.toBe(old);
    await node.harness.open.advance(minuteMs);
    await verify(node, await accessToken(node));
    // The token of a service finds or makes one too.
    await node.harness.open.advance(30 * dayMs);
    const { clientId: client_id, clientSecret: client_secret } = await register(node);
    const form = { grant_type: "client_credentials", client_id, client_secret };
    await verify(node, accessTokenOf(await ask(node, form)));
  });

  test("are one, too, when many sessions begin just after the last has ended", async () => {
    await using node = await openNode(fixture, { keyLife: "1d" });
    await node.harness.open.advance(dayMs - 1_000);
    // A view of the keys that is a second old when the key ends.
    await accessToken(node);
    await node.durable.read("settle", (reader) => reader.sql`select 1`);
    await node.tokens.keys.fresh();
    await node.harness.open.advance(2_000);
    const kids = new Set<string | undefined>();
    for (let n = 0; n < 3; n++) kids.add(kidOf(await accessToken(node)));
    expect(kids.size).toBe(1);
  });

  test("that another node has just made are not missed by one whose clock is behind", async () => {
    await using node = await openNode(fixture);
    const { clientId: client_id, clientSecret: client_secret } = await register(node);
    await node.harness.open.advance(minuteMs);
    await commit(node, async (tx) => {
      await node.tokens.rotateKeys(tx, { distrust: true });
      // The clock of who rotated was two seconds ahead.
      const aheadMs = 2_000;
      await tx.sql`update forge_signing_keys set signs_from_at = signs_from_at + ${aheadMs}`;
    });
    const form = { grant_type: "client_credentials", client_id, client_secret };
    const answer = await ask(node, form);
    expect(answer.status).toBe(200);
    await verify(node, accessTokenOf(answer));
  });

  test("are followed by another at once when they are rotated by hand", async () => {
    await using node = await openNode(fixture);
    const other = await tokenNode(node.harness);
    const before = await accessToken(node);
    await node.harness.open.advance(1);
    await commit(node, (tx) => node.tokens.rotateKeys(tx));
    await node.harness.open.advance(minuteMs);
    const after = await accessToken(node);
    expect(kidOf(after)).not.toBe(kidOf(before));
    // A node whose view is older looks again for the key that it lacks.
    await verify(other, after);
    await verify(other, before);
    expect(await published(other)).toEqual([kidOf(before), kidOf(after)]);
  });

  test("that are distrusted prove nothing any more, on every node within a minute", async () => {
    await using node = await openNode(fixture);
    const other = await tokenNode(node.harness);
    const before = await accessToken(node);
    await commit(node, (tx) => node.tokens.rotateKeys(tx, { distrust: true }));
    await node.harness.open.advance(minuteMs);
    for (const each of [node, other]) {
      await expect(verify(each, before)).rejects.toMatchObject({ code: "invalid_token" });
      await verify(each, await accessToken(each));
    }
  });

  test("of a commit that was rolled back sign nothing afterwards", async () => {
    await using node = await openNode(fixture, { keyLife: "1d" });
    await node.harness.open.advance(30 * dayMs);
    let token = "";
    const undone = node.durable.transact("undone", actor, async (tx) => {
      const session = { subject: "usr_1", tenant: "ten_1" };
      token = (await node.tokens.startSession(tx, session)).tokens.access_token;
      throw new Error("no");
    });
    await expect(undone).rejects.toThrow("no");
    expect(kidOf(await accessToken(node))).not.toBe(kidOf(token));
  });
});

test("a token is verified with the keys that are known while the store is away", async () => {
  await using node = await openNode(storeFixtures[0]!);
  const token = await accessToken(node);
  const { store } = node.harness;
  const read = store.read.bind(store);
  store.read = async () => {
    throw new Error("away");
  };
  node.clock.advance(5 * minuteMs);
  await verify(node, token);
  // Nobody waits for the store again within a second, nor fills the log.
  const failed = node.log.entries.length;
  await verify(node, token);
  expect(node.log.entries).toHaveLength(failed);
  node.clock.advance(1_000);
  await verify(node, token);
  expect(node.log.entries).toHaveLength(failed + 1);
  expect(node.log.entries).toContainEqual(
    expect.objectContaining({ level: "warn", message: "signing keys could not be read" }),
  );
  store.read = read;
});
