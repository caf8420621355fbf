import { until } from "@apiforge/testing";
import type { OpenStore } from "@apiforge/testing/contracts";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { restrictionCheck } from "../../../src/edge/auth/key-restrictions.ts";
import { defineRoute, type Exchange } from "../../../src/edge/index.ts";
import { storeFixtures } from "../../store/fixtures.ts";
import { startKeyNode, type CallOptions, type KeyNode } from "./key-node.ts";

const shop = "https://shop.example.com";

describe.each(storeFixtures)("where keys may be used, on $name", (fixture) => {
  let open: OpenStore;
  let node: KeyNode;
  let admin: string;

  beforeAll(async () => {
    open = await fixture.open();
    node = await startKeyNode(open);
    admin = await node.bearer();
  });
  afterAll(async () => {
    await node[Symbol.asyncDispose]();
    await open[Symbol.asyncDispose]();
  });

  function create(body: object, as: Pick<CallOptions, "as" | "key"> = { as: admin }) {
    return node.call({ method: "POST", url: "/v1/keys", body, ...as });
  }

  async function codeOf(options: CallOptions): Promise<unknown> {
    const answer = await node.call(options);
    return answer.status === 200 ? undefined : [answer.status, answer.body.error.code];
  }

  test("pages of its origins only, by the exact origin", async () => {
    const made = await create({ origins: [shop, "http://localhost:3000"] });
    expect(made.body).toMatchObject({ origins: [shop, "http://localhost:3000"], addresses: null });
    const { key } = made.body;
    const from = (origin: string) => ({ url: "/by-key", key, headers: { origin } });
    expect(await codeOf(from(shop))).toBeUndefined();
    expect(await codeOf(from("http://localhost:3000"))).toBeUndefined();
    for (const other of ["https://shop.example.com.evil.example", `${shop}:8443`, "null"]) {
      expect(await codeOf(from(other))).toEqual([403, "key_origin_refused"]);
    }
    expect(await codeOf({ url: "/by-key", key })).toEqual([403, "key_origin_refused"]);
  });

  test("its addresses and networks only", async () => {
    const addresses = ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"];
    const { key } = (await create({ addresses })).body;
    const from = (address: string) => codeOf({ url: "/by-key", key, from: address });
    for (const inside of ["192.0.2.7", "::ffff:192.0.2.7", "198.51.100.255", "2001:db8:1::9"]) {
      expect(await from(inside)).toBeUndefined();
    }
    for (const outside of ["192.0.2.8", "198.51.101.0", "2001:db9::1", "::1"]) {
      expect(await from(outside)).toEqual([403, "key_address_refused"]);
    }
  });

  test("places that are none are refused when the key is made", async () => {
    for (const body of [
      { origins: [`${shop}/`] },
      { origins: ["shop.example.com"] },
      { origins: [] },
      { addresses: ["192.0.2.0/33"] },
      { addresses: ["example.com"] },
      { addresses: [] },
    ]) {
      expect((await create(body)).status).toBe(400);
    }
  });

  test("a key makes none that is good where it is not itself", async () => {
    const own = { scopes: ["keys:manage"], origins: [shop], addresses: ["0.0.0.0/0"] };
    const { key } = (await create(own)).body;
    const make = (body: object) =>
      node.call({ method: "POST", url: "/v1/keys", key, headers: { origin: shop }, body });
    expect((await make({})).body).toMatchObject({ origins: [shop], addresses: ["0.0.0.0/0"] });
    expect((await make({ origins: ["https://evil.example"] })).status).toBe(403);
    expect((await make({ addresses: ["::/0"] })).status).toBe(403);
    expect((await make({ mode: "live" })).status).toBe(403);
  });

  test("its last use is written once a minute", async () => {
    const { id, key } = (await create({})).body;
    const lastUsed = async () =>
      (await node.call({ url: `/v1/keys/${id}`, as: admin })).body.lastUsedAt;
    expect(await lastUsed()).toBeNull();
    const usedAt = new Date(node.clock.now() + 1_000).toISOString();
    await node.call({ url: "/by-key", key });
    await open.advance(1_000);
    await node.call({ url: "/by-key", key });
    expect(await lastUsed()).toBeNull();
    await open.advance(60_000);
    admin = await node.bearer();
    await until("the last use to be written", async () => (await lastUsed()) !== null);
    expect(await lastUsed()).toBe(usedAt);
  });

  test("live keys are refused on test data and the reverse, by the deployment or by a route", async () => {
    const [live, tried] = [await create({ mode: "live" }), await create({ mode: "test" })];
    const route = defineRoute({
      method: "GET",
      path: "/sandbox",
      auth: "any",
      keyMode: "test",
      transaction: "none",
      replies: { 200: null },
      handler: () => ({ status: 200 }),
    });
    await using production = await startKeyNode(open, { keyMode: "live", routes: [route] });
    const use = async (url: string, { body }: { body: { key: string } }) => {
      const answer = await production.call({ url, key: body.key });
      return answer.status === 200 ? 200 : [answer.status, answer.body.error.code];
    };
    const refused = [403, "key_mode_refused"];
    expect([await use("/by-key", live), await use("/by-key", tried)]).toEqual([200, refused]);
    expect([await use("/sandbox", live), await use("/sandbox", tried)]).toEqual([refused, 200]);
    const token = await production.bearer();
    expect((await production.call({ url: "/sandbox", as: token })).status).toBe(200);
    const made = await production.call({ method: "POST", url: "/v1/keys", as: token, body: {} });
    expect(made.body.mode).toBe("live");
  });
});

test("an IPv4 network contains the addresses that begin with its bits", () => {
  const word = fc.nat(0xff_ff_ff_ff);
  const text = (address: number) =>
    [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
  fc.assert(
    fc.property(word, word, fc.nat(32), fc.boolean(), (network, other, bits, isNear) => {
      // Near: it differs in the bits that do not count, or in one that does.
      const address = isNear ? network ^ (1 << (other & 31)) : other;
      const mask = bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
      const isInside = ((network ^ address) & mask) === 0;
      const check = restrictionCheck({ addresses: [`${text(network)}/${bits}`] });
      for (const ip of [text(address), `::ffff:${text(address)}`]) {
        const exchange = { headers: {}, request: { ip } } as unknown as Exchange;
        if (isInside) check?.(exchange);
        else expect(() => check?.(exchange)).toThrow("from this address");
      }
    }),
  );
});
