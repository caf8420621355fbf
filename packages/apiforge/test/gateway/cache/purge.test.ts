import type { ManualClock } from "@apiforge/testing";
import { afterEach, describe, expect, test } from "vitest";

import { CachePurges, everyCache } from "../../../src/app/cache-purges.ts";
import { createDurable, type Durable } from "../../../src/durable/index.ts";
import type { Purge } from "../../../src/gateway/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";
import type { Store } from "../../../src/store/index.ts";
import { storeFixtures } from "../../store/fixtures.ts";
import { postgres } from "../../store/postgres-fixture.ts";
import { startCached, type CachedGateway } from "./cache-harness.ts";

const actor = { tenant: "t", requestId: "r" };

/** A gateway that follows the purges of a store. */
interface Node {
  readonly gateway: CachedGateway;
  readonly purges: CachePurges;
  readonly durable: Durable;
}

async function startNode(store: Store, clock: ManualClock): Promise<Node> {
  const durable = createDurable({ store, log: silentLog, jobs: [], consumers: [] });
  let count = 0;
  const gateway = await startCached((request, response) => {
    count += 1;
    const tag = request.url?.slice(1, 2) ?? "";
    response.writeHead(200, { "cache-control": "max-age=60", "cache-tag": `all, ${tag}` });
    response.end(String(count));
  });
  const purges = new CachePurges({
    durable,
    clock,
    singleProcess: store.capabilities.singleProcess,
    transactionLimitMs: 5_000,
  });
  await purges.refresh();
  purges.add(gateway.cache);
  return { gateway, durable, purges };
}

function purge({ durable, gateway }: Node, ...purges: readonly Purge[]): Promise<void> {
  return durable.transact("change", actor, (tx) => gateway.cache.purge(tx, ...purges));
}

async function body({ gateway }: Node, path: string): Promise<string> {
  return (await gateway.get(path)).text();
}

describe.each(storeFixtures)("on $name", (fixture) => {
  const opened: AsyncDisposable[] = [];
  const nodes: Node[] = [];
  afterEach(async () => {
    for (const { gateway } of nodes.splice(0)) await gateway.stop();
    for (const it of opened.splice(0)) await it[Symbol.asyncDispose]();
  });

  async function started(): Promise<Node> {
    const open = await fixture.open();
    opened.push(open);
    const node = await startNode(open.store, open.clock);
    nodes.push(node);
    return node;
  }

  test("what is purged is gone with the commit, and what is not named stays", async () => {
    const node = await started();
    for (const path of ["/a/1", "/a/2", "/b/1", "/c"]) await body(node, path);
    await purge(node, { tag: "a" }, { prefix: "/b" });
    const bodies = [];
    for (const path of ["/a/1", "/a/2", "/b/1", "/c"]) bodies.push(await body(node, path));
    expect(bodies).toEqual(["5", "6", "7", "4"]);
    await purge(node, { all: true });
    expect(await body(node, "/c")).toBe("8");
  });

  test("a change that is rolled back purges nothing", async () => {
    const node = await started();
    await body(node, "/a");
    const failing = node.durable.transact("change", actor, async (tx) => {
      await node.gateway.cache.purge(tx, { tag: "a" });
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await body(node, "/a")).toBe("1");
  });

  test("who follows no purges any more stores nothing", async () => {
    const node = await started();
    await body(node, "/a");
    node.purges.remove(node.gateway.cache);
    expect([await body(node, "/a"), await body(node, "/a")]).toEqual(["2", "3"]);
    node.purges.add(node.gateway.cache);
    expect([await body(node, "/a"), await body(node, "/a")]).toEqual(["4", "4"]);
  });

  test("a purge of every cache is one of each", async () => {
    const node = await started();
    await body(node, "/a");
    await node.durable.transact("purge", actor, (tx) =>
      node.purges.purge(tx, everyCache, [{ tag: "a" }]),
    );
    expect(await body(node, "/a")).toBe("2");
  });

  test("an answer that was under way at the commit is not stored", async () => {
    const node = await started();
    let finish = (): void => undefined;
    node.gateway.behave((_request, response) => {
      response.writeHead(200, { "cache-control": "max-age=60", "cache-tag": "a" }).write("old");
      finish = () => void response.end();
    });
    const slow = await node.gateway.get("/a");
    await purge(node, { tag: "a" });
    finish();
    expect(await slow.text()).toBe("old");
    node.gateway.behave((_request, response) => void response.end("new"));
    expect(await body(node, "/a")).toBe("new");
  });

  test("nobody waits after the commit for an answer that was asked for before it", async () => {
    const node = await started();
    const held: (() => void)[] = [];
    node.gateway.behave((_request, response) => {
      const text = held.length === 0 ? "old" : "new";
      held.push(() => response.writeHead(200, { "cache-control": "max-age=60" }).end(text));
      if (held.length === 2) for (const end of held) end();
    });
    const before = node.gateway.get("/a");
    while (held.length === 0) await new Promise((resolve) => void setImmediate(resolve));
    await purge(node, { all: true });
    expect(await body(node, "/a")).toBe("new");
    expect(await (await before).text()).toBe("old");
    expect(await body(node, "/a")).toBe("new");
  });

  test("of what an earlier process stored, all is used that was not purged since", async () => {
    const node = await started();
    for (const path of ["/a", "/b"]) await body(node, path);
    const kept = node.gateway.cache.usable;
    await purge(node, { tag: "a" });
    await node.purges.refresh();
    const unpurged = await node.purges.unpurged("responses", kept);
    expect(unpurged.map(({ tags }) => tags)).toEqual([["all", "b"]]);
    // The count of another store.
    const foreign = kept.map((entry) => ({ ...entry, epoch: 7 }));
    expect(await node.purges.unpurged("responses", foreign)).toEqual([]);
  });
});

test("other nodes follow within the time that is promised", async () => {
  await using open = await postgres.open();
  const node = await startNode(open.store, open.clock);
  const other = await startNode(open.store, open.clock);
  await body(other, "/a");
  await purge(node, { tag: "a" });
  open.clock.advance(250);
  expect(await body(other, "/a")).toBe("2");
  await node.gateway.stop();
  await other.gateway.stop();
});
