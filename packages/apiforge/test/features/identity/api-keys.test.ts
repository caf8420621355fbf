import type { OpenStore } from "@apiforge/testing/contracts";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { storeFixtures } from "../../store/fixtures.ts";
import { startKeyNode, type KeyNode } from "./key-node.ts";

const dayMs = 86_400_000;
const text = /^af_(?:test|live)_[0-9A-Za-z]{38}$/;

describe.each(storeFixtures)("API keys on $name", (fixture) => {
  let open: OpenStore;
  let node: KeyNode;
  let admin: string;

  beforeAll(async () => {
    open = await fixture.open();
    node = await startKeyNode(open);
  });
  afterAll(async () => {
    await node[Symbol.asyncDispose]();
    await open[Symbol.asyncDispose]();
  });

  async function create(body: object = {}, as?: string) {
    admin = as ?? (await node.bearer());
    const answer = await node.call({ method: "POST", url: "/v1/keys", as: admin, body });
    expect(answer.status, answer.text).toBe(201);
    return answer.body as { id: string; key: string; lastFour: string; prefix: string };
  }

  async function statusOf(key: string): Promise<number> {
    return (await node.call({ url: "/by-key", key })).status;
  }

  test("a key is told once, and speaks for what it was made for", async () => {
    const made = await create({
      ...{ name: "CI", mode: "live", role: "member", scopes: ["things:read"], plan: "pro" },
      expiresAt: new Date(node.clock.now() + dayMs).toISOString(),
    });
    expect(made.key).toMatch(text);
    expect(made).toMatchObject({
      ...{ name: "CI", mode: "live", role: "member", scopes: ["things:read"], plan: "pro" },
      ...{ prefix: made.key.slice(0, 12), lastFour: made.key.slice(-4), createdBy: "usr_1" },
      ...{ previous: null, revokedAt: null },
    });
    const principal = {
      ...{ subject: made.id, tenant: "ten_1", role: "member", scopes: ["things:read"] },
      ...{ plan: "pro", credentialId: made.id, keyMode: "live" },
    };
    for (const url of ["/by-key", "/by-any", "/by-optional"]) {
      expect((await node.call({ url, key: made.key })).body).toEqual(principal);
      expect((await node.call({ url, as: `Bearer ${made.key}` })).body).toEqual(principal);
    }
    const read = await node.call({ url: `/v1/keys/${made.id}`, as: admin });
    const { key: _, ...shown } = made;
    expect(read.body).toEqual(shown);
  });

  test("routes say which credentials they take", async () => {
    const { key } = await create();
    const token = await node.bearer();
    const codeOf = async (url: string, who: { key?: string; as?: string }) =>
      (await node.call({ url, ...who })).body?.error?.code;
    expect(await codeOf("/by-token", { key })).toBe("missing_token");
    expect(await codeOf("/by-token", { as: `Bearer ${key}` })).toBe("invalid_token");
    expect(await codeOf("/by-key", {})).toBe("missing_api_key");
    expect(await codeOf("/by-key", { as: token })).toBe("invalid_api_key");
    expect(await codeOf("/by-any", {})).toBe("missing_token");
    expect(await codeOf("/by-any", { as: token })).toBeUndefined();
    expect((await node.call({ url: "/by-optional" })).status).toBe(204);
    for (const url of ["/by-key", "/by-any", "/by-optional"]) {
      expect(await codeOf(url, { key, as: token })).toBe("invalid_api_key");
      expect(await codeOf(url, { key: `${key}, ${key}` })).toBe("invalid_api_key");
      expect(await codeOf(url, { key: "" })).toBe("invalid_api_key");
    }
  });

  test("a rotated key has two secrets for the overlap, and one after it", async () => {
    const made = await create();
    const rotated = await node.call({
      ...{ method: "POST" as const, url: `/v1/keys/${made.id}/rotate`, as: admin },
      body: { overlapSeconds: 60 },
    });
    expect(rotated.status, rotated.text).toBe(200);
    expect(rotated.body).toMatchObject({ id: made.id, previous: { lastFour: made.lastFour } });
    const next = rotated.body.key as string;
    expect(next).not.toBe(made.key);
    expect([await statusOf(made.key), await statusOf(next)]).toEqual([200, 200]);
    await open.advance(59_999);
    expect(await statusOf(made.key)).toBe(200);
    await open.advance(1);
    const late = await node.call({ url: "/by-key", key: made.key });
    expect([late.status, late.body.error.code]).toEqual([401, "api_key_expired"]);
    expect(late.headers["www-authenticate"]).toContain('error="invalid_token"');
    expect(await statusOf(next)).toBe(200);
  });

  test("a second rotation ends the secret that the first one had kept", async () => {
    admin = await node.bearer();
    const made = await create();
    const rotate = { method: "POST" as const, url: `/v1/keys/${made.id}/rotate`, as: admin };
    const second = (await node.call(rotate)).body.key as string;
    const third = (await node.call(rotate)).body.key as string;
    const seen = [await statusOf(made.key), await statusOf(second), await statusOf(third)];
    expect(seen).toEqual([401, 200, 200]);
    const fourth = await node.call({ ...rotate, body: { overlapSeconds: 0 } });
    expect([await statusOf(third), await statusOf(fourth.body.key)]).toEqual([401, 200]);
  });

  test("a revoked key is refused at once, with all of its secrets, and stays revoked", async () => {
    const made = await create();
    const url = `/v1/keys/${made.id}`;
    const rotated = await node.call({ method: "POST", url: `${url}/rotate`, as: admin });
    const revoke = { method: "DELETE" as const, url, as: admin };
    expect((await node.call(revoke)).status).toBe(204);
    expect([await statusOf(made.key), await statusOf(rotated.body.key)]).toEqual([401, 401]);
    expect((await node.call(revoke)).status).toBe(204);
    const again = await node.call({ method: "POST", url: `${url}/rotate`, as: admin });
    expect([again.status, again.body.error.code]).toEqual([409, "api_key_revoked"]);
    expect((await node.call({ url, as: admin })).body.revokedAt).not.toBeNull();
  });

  test("an expired key is refused as such", async () => {
    const expiresAt = new Date(node.clock.now() + 1_000).toISOString();
    const { key } = await create({ expiresAt });
    expect(await statusOf(key)).toBe(200);
    await open.advance(1_000);
    expect((await node.call({ url: "/by-key", key })).body.error.code).toBe("api_key_expired");
    const past = await node.call({
      method: "POST",
      url: "/v1/keys",
      as: admin,
      body: { expiresAt },
    });
    expect([past.status, past.body.error.param]).toEqual([400, "body.expiresAt"]);
  });

  test("keys are listed newest first, to their own tenant only", async () => {
    const tenant = `ten_${fixture.name}_list`;
    const as = await node.bearer({ tenant });
    const ids: string[] = [];
    for (const name of ["a", "b", "c"]) ids.unshift((await create({ name }, as)).id);
    const first = await node.call({ url: "/v1/keys?limit=2", as });
    const rest = await node.call({ url: `/v1/keys?limit=2&cursor=${first.body.nextCursor}`, as });
    const listed = [...first.body.data, ...rest.body.data] as { id: string }[];
    expect(listed.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    const stranger = await node.bearer({ tenant: "ten_stranger" });
    expect((await node.call({ url: "/v1/keys", as: stranger })).body.data).toEqual([]);
    for (const [method, url] of [
      ["GET", `/v1/keys/${ids[0]}`],
      ["DELETE", `/v1/keys/${ids[0]}`],
      ["POST", `/v1/keys/${ids[0]}/rotate`],
    ] as const) {
      expect((await node.call({ method, url, as: stranger })).status).toBe(404);
    }
  });

  test("nobody without the right manages keys, and nobody makes one that may do more than it", async () => {
    const member = await node.bearer({ role: "member", scopes: ["things:read"] });
    expect((await node.call({ url: "/v1/keys", as: member })).body.error.code).toBe(
      "insufficient_role",
    );
    const manager = await create({ role: "member", scopes: ["keys:manage", "things:read"] });
    const strong = await create({ role: "admin" });
    const as = { method: "POST", url: "/v1/keys", key: manager.key } as const;
    const make = async (body: object) => (await node.call({ ...as, body })).status;
    expect(await make({ role: "member", scopes: ["things:read"] })).toBe(201);
    expect(await make({ role: "admin" })).toBe(403);
    expect(await make({ scopes: ["things:write"] })).toBe(403);
    expect(await make({ plan: "pro" })).toBe(403);
    const rotate = { ...as, url: `/v1/keys/${strong.id}/rotate` };
    expect((await node.call(rotate)).status).toBe(403);
    const revoke = { ...as, method: "DELETE" as const, url: `/v1/keys/${strong.id}` };
    expect((await node.call(revoke)).status).toBe(403);
    expect(await statusOf(strong.key)).toBe(200);
  });

  test("neither the store nor the log nor an answer keeps a key or a token", async () => {
    const headers = { "idempotency-key": "make-a-key" };
    admin = await node.bearer();
    const request = { method: "POST", url: "/v1/keys", as: admin, headers, body: {} } as const;
    const made = (await node.call(request)).body;
    const rotated = await node.call({ ...request, url: `/v1/keys/${made.id}/rotate` });
    const secrets = [made.key, rotated.body.key, admin.slice("Bearer ".length)] as string[];
    const answers = [
      await node.call({ url: "/by-key", key: `${made.key}x` }),
      await node.call({ url: "/by-key", as: `Bearer ${made.key}x` }),
      await node.call({ url: "/by-token", as: `Bearer ${made.key}` }),
      await node.call({ url: "/by-token", as: `${admin}x` }),
      await node.call({ url: "/v1/keys?limit=100", as: admin }),
      await node.call({ url: "/openapi.json" }),
    ].map((answer) => answer.text + JSON.stringify(answer.headers));
    const stored = await node.durable.read("look", async ({ sql }) => [
      await sql`select * from forge_api_keys`,
      await sql`select * from forge_idempotency`,
      await sql`select * from forge_events`,
      await sql`select * from forge_audit`,
    ]);
    const seen = [...answers, JSON.stringify(stored), JSON.stringify(node.lines)].join("\n");
    for (const secret of secrets) expect(seen.includes(secret)).toBe(false);
    expect(seen).toContain(made.lastFour);
    expect((await node.call({ url: "/openapi.json" })).text).not.toMatch(/af_(?:live|test)_\w{5}/);
  });

  test("the store is asked for a key once in 300 s", async () => {
    const { key } = await create();
    const before = node.lookups();
    const requests = Array.from({ length: 20 }, () => statusOf(key));
    expect(new Set(await Promise.all(requests))).toEqual(new Set([200]));
    await open.advance(299_000);
    expect(await statusOf(key)).toBe(200);
    expect(node.lookups()).toBe(before + 1);
    await open.advance(1_000);
    expect(await statusOf(key)).toBe(200);
    expect(node.lookups()).toBe(before + 2);
  });

  test("what one node revokes, another one refuses within 250 ms, and keeps what it knows of other tenants", async () => {
    await using other = await startKeyNode(open, { singleProcess: false });
    const [revoked, rotated] = [await create(), await create()];
    const stranger = await create({}, await node.bearer({ tenant: `ten_${fixture.name}_far` }));
    const use = async ({ key }: { key: string }) =>
      (await other.call({ url: "/by-key", key })).status;
    for (const made of [revoked, rotated, stranger]) expect(await use(made)).toBe(200);
    admin = await node.bearer();
    const revoke = { method: "DELETE" as const, url: `/v1/keys/${revoked.id}`, as: admin };
    expect((await node.call(revoke)).status).toBe(204);
    const rotate = { method: "POST" as const, url: `/v1/keys/${rotated.id}/rotate`, as: admin };
    const next = await node.call({ ...rotate, body: { overlapSeconds: 0 } });
    await open.advance(250);
    expect([await use(revoked), await use(rotated), await use(next.body)]).toEqual([401, 401, 200]);
    const before = other.lookups();
    expect(await use(stranger)).toBe(200);
    expect(other.lookups()).toBe(before);
  });
});
