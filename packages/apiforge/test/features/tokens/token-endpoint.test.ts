import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Tokens } from "../../../src/features/tokens/index.ts";
import { storeFixtures } from "../../store/fixtures.ts";
import { sqliteMemory } from "../../store/sqlite-fixture.ts";
import {
  accessTokenOf,
  ask,
  claimsOf,
  commit,
  minuteMs,
  openNode,
  register,
  verify,
} from "./token-node.ts";

const grant = { grant_type: "client_credentials" };

function basic(id: string, secret = ""): string {
  const encoded = [id, secret].map(encodeURIComponent).join(":");
  return `Basic ${Buffer.from(encoded).toString("base64")}`;
}

describe.for(storeFixtures)("a client on $name", (fixture) => {
  test("gets a short-lived token of its own, in either way of authentication", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node, { role: "service" });
    expect(clientSecret).toMatch(/^af_cs_[\w-]{43}$/);
    const posted = await ask(node, { ...grant, client_id: clientId, client_secret: clientSecret });
    const headed = await ask(node, grant, { authorization: basic(clientId, clientSecret) });
    for (const answer of [posted, headed]) {
      expect(answer.body).toMatchObject({ token_type: "Bearer", expires_in: 300, scope: "a b" });
      expect(answer.body).not.toHaveProperty("refresh_token");
      const { principal } = await verify(node, accessTokenOf(answer));
      expect(principal).toMatchObject({
        subject: clientId,
        tenant: "ten_1",
        role: "service",
        scopes: ["a", "b"],
      });
      expect(claimsOf(accessTokenOf(answer))).toMatchObject({ client_id: clientId, sub: clientId });
    }
  });

  test("gets the scopes that it asks for, of those that it has", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node);
    const as = { authorization: basic(clientId, clientSecret) };
    const answer = await ask(node, { ...grant, scope: "b" }, as);
    expect(answer.body).toMatchObject({ scope: "b" });
    for (const scope of ["c", "a c", 'a "b"', " a"]) {
      expect(await ask(node, { ...grant, scope }, as)).toMatchObject({
        status: 400,
        body: { error: "invalid_scope" },
      });
    }
  });

  test("has two secrets while one takes the other's place", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node);
    const second = await commit(node, (tx) => node.tokens.rotateClientSecret(tx, clientId, "10m"));
    const statuses = async (): Promise<number[]> => {
      const answers = [clientSecret, second].map((client_secret) =>
        ask(node, { ...grant, client_id: clientId, client_secret }),
      );
      return (await Promise.all(answers)).map(({ status }) => status);
    };
    expect(await statuses()).toEqual([200, 200]);
    await node.harness.open.advance(10 * minuteMs);
    expect(await statuses()).toEqual([401, 200]);
    const none = await commit(node, (tx) => node.tokens.rotateClientSecret(tx, "cli_none"));
    expect(none).toBeUndefined();
  });

  test("gets no token once it is disabled", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node);
    const disable = () => commit(node, (tx) => node.tokens.disableClient(tx, clientId));
    expect([await disable(), await disable()]).toEqual([true, false]);
    const as = { authorization: basic(clientId, clientSecret) };
    expect(await ask(node, grant, as)).toMatchObject({
      status: 401,
      body: { error: "invalid_client" },
    });
    expect(
      await commit(node, (tx) => node.tokens.rotateClientSecret(tx, clientId)),
    ).toBeUndefined();
  });

  test("is unknown by a name that no client has, whatever characters are in it", async () => {
    await using node = await openNode(fixture);
    for (const id of ["\0", "cli_\0", "\ud800", "\u{1f600}", "x".repeat(5_000), "\n"]) {
      const posted = ask(node, { ...grant, client_id: id, client_secret: "a\0" });
      expect(await posted).toMatchObject({ status: 401, body: { error: "invalid_client" } });
    }
    const headed = ask(node, grant, { authorization: `Basic ${btoa("cli_%00:a")}` });
    expect(await headed).toMatchObject({ status: 401, body: { error: "invalid_client" } });
  });

  test("has a secret that is kept as a digest", async () => {
    await using node = await openNode(fixture);
    const { clientSecret } = await register(node);
    const rows = await node.durable.read(
      "look",
      (reader) => reader.sql`select * from forge_oauth_clients`,
    );
    expect(JSON.stringify(rows)).not.toContain(clientSecret?.slice(6));
  });
});

describe("the token endpoint", () => {
  const id = "cli_x";
  test.each([
    ["no grant", "client_id=cli_x", {}, "invalid_request"],
    ["an empty grant", "grant_type=", {}, "invalid_request"],
    ["a password grant", "grant_type=password&username=a&password=b", {}, "unsupported_grant_type"],
    ["a code", "grant_type=authorization_code&code=a", {}, "unsupported_grant_type"],
    ["a parameter twice", "grant_type=client_credentials&a=1&a=", {}, "invalid_request"],
    [
      "JSON",
      '{"grant_type":"client_credentials"}',
      { contentType: "application/json" },
      "invalid_request",
    ],
    ["no refresh token", "grant_type=refresh_token", {}, "invalid_request"],
    [
      "a scope that is none",
      "grant_type=refresh_token&refresh_token=x&scope=%22",
      {},
      "invalid_scope",
    ],
    [
      "two ways of authentication",
      `grant_type=client_credentials&client_secret=b`,
      { authorization: basic(id, "a") },
      "invalid_request",
    ],
    [
      "two client ids",
      "grant_type=client_credentials&client_id=cli_y",
      { authorization: basic(id, "a") },
      "invalid_request",
    ],
    ["no client", "grant_type=client_credentials", {}, "invalid_client"],
    [
      "an unknown client",
      "grant_type=client_credentials&client_id=cli_x&client_secret=a",
      {},
      "invalid_client",
    ],
    [
      "a client without a secret",
      "grant_type=client_credentials&client_id=cli_x",
      {},
      "invalid_client",
    ],
    [
      "a bearer token",
      "grant_type=client_credentials",
      { authorization: "Bearer a" },
      "invalid_client",
    ],
    [
      "an id that is not encoded",
      "grant_type=client_credentials",
      { authorization: `Basic ${btoa("a%zz:b")}` },
      "invalid_client",
    ],
    [
      "an unknown client's refresh",
      "grant_type=refresh_token&refresh_token=x&client_id=cli_x",
      {},
      "invalid_client",
    ],
    ["an unknown refresh token", "grant_type=refresh_token&refresh_token=x", {}, "invalid_grant"],
  ] as const)("refuses %s by RFC 6749", async (_, form, options, error) => {
    await using node = await openNode(sqliteMemory);
    const answer = await ask(node, form, options);
    expect(answer).toEqual({
      status: error === "invalid_client" ? 401 : 400,
      // Section 5.2: printable ASCII without quotes and backslashes.
      body: { error, error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/) },
    });
  });

  test("answers whatever it is sent, without failing", async () => {
    await using node = await openNode(sqliteMemory);
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("", "refresh_token", "client_credentials", `af_rt_${"0".repeat(22)}_0_`),
    );
    const form = fc.dictionary(
      fc.constantFrom("grant_type", "refresh_token", "client_id", "client_secret", "scope", "x"),
      text,
    );
    const authorization = fc.option(
      text.map((value) => `Basic ${Buffer.from(value).toString("base64")}`),
      { nil: undefined },
    );
    await fc.assert(
      fc.asyncProperty(form, authorization, async (parameters, header) => {
        const options = header === undefined ? {} : { authorization: header };
        expect([400, 401]).toContain((await ask(node, parameters, options)).status);
      }),
      { numRuns: 200 },
    );
  });
});

test.each([
  [{ accessTtl: "2h" }, "accessTtl must be 60000 to 3600000 ms, not 7200000"],
  [{ serviceTtl: "1s" }, "serviceTtl must be"],
  [{ idleTtl: "1s" }, "idleTtl must be"],
  [{ sessionTtl: 0 }, "sessionTtl must be"],
  [{ retryGrace: "1h" }, "retryGrace must be 0 to 120000 ms"],
  [{ keyLife: "1h" }, "keyLife must be"],
] as const)("options out of range are refused: %o", (options, message) => {
  expect(() => new Tokens({ issuer: "https://api.test", ...options })).toThrow(message);
});

test("what cannot be told apart from nothing is refused", async () => {
  await using node = await openNode(sqliteMemory);
  const session = { subject: "usr_1", tenant: "ten_1" };
  for (const wrong of [{ subject: "" }, { tenant: "" }, { scopes: ["a b"] }, { scopes: [""] }]) {
    const started = commit(node, (tx) => node.tokens.startSession(tx, { ...session, ...wrong }));
    await expect(started).rejects.toThrow(RangeError);
  }
  await expect(register(node, { tenant: "" })).rejects.toThrow(RangeError);
  await expect(register(node, { scopes: ['"'] })).rejects.toThrow(RangeError);
});

test("tokens that no server has say so", async () => {
  const tokens = new Tokens({ issuer: "https://api.test" });
  expect(() => tokens.keys).toThrow("hand them to createForge");
});
