import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { storeFixtures } from "../../store/fixtures.ts";
import { sqliteMemory } from "../../store/sqlite-fixture.ts";
import {
  accessTokenOf,
  ask,
  claimsOf,
  openNode,
  refreshTokenOf,
  register,
  start,
  verify,
} from "./token-node.ts";

const [own, foreign] = ["thumbprint-of-its-own", "thumbprint-of-another"];
const grant = { grant_type: "client_credentials" };

describe.for(storeFixtures)("tokens bound to a certificate on $name", (fixture) => {
  test("are a client's that proves itself by it, and needs no secret", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node, { certificate: own });
    expect(clientSecret).toBeUndefined();
    const form = { ...grant, client_id: clientId };
    const token = accessTokenOf(await ask(node, form, { certificate: own }));
    expect(claimsOf(token)).toMatchObject({ sub: clientId, cnf: { "x5t#S256": own } });
    expect((await verify(node, token)).principal).toMatchObject({ certificate: own });
    for (const certificate of [foreign, undefined]) {
      const options = certificate === undefined ? {} : { certificate };
      for (const proof of [form, { ...form, client_secret: "af_cs_guess" }]) {
        expect(await ask(node, proof, options)).toMatchObject({
          status: 401,
          body: { error: "invalid_client" },
        });
      }
    }
  });

  test("are not a client's with a secret, whatever certificate there is", async () => {
    await using node = await openNode(fixture);
    const { clientId, clientSecret } = await register(node);
    const named = { ...grant, client_id: clientId };
    expect(await ask(node, named, { certificate: own })).toMatchObject({ status: 401 });
    const form = { ...named, client_secret: clientSecret };
    const token = accessTokenOf(await ask(node, form, { certificate: own }));
    expect(claimsOf(token)).not.toHaveProperty("cnf");
  });

  test("of a session are exchanged by its holder alone, and a thief ends nothing", async () => {
    await using node = await openNode(fixture);
    const { tokens } = await start(node, { certificate: own });
    const exchange = (token: string | undefined, options: { readonly certificate?: string }) =>
      ask(node, { grant_type: "refresh_token", refresh_token: token }, options);
    for (const options of [{ certificate: foreign }, {}]) {
      expect(refreshTokenOf(await exchange(tokens.refresh_token, options))).toBe("(invalid_grant)");
    }
    const next = await exchange(tokens.refresh_token, { certificate: own });
    expect(claimsOf(accessTokenOf(next))).toMatchObject({ cnf: { "x5t#S256": own } });
    const last = await exchange(refreshTokenOf(next), { certificate: own });
    expect(claimsOf(accessTokenOf(last))).toMatchObject({ cnf: { "x5t#S256": own } });
    // The first, long exchanged, in the hands of somebody without the certificate.
    await exchange(tokens.refresh_token, { certificate: foreign });
    expect((await exchange(refreshTokenOf(last), { certificate: own })).status).toBe(200);
  });
});

test("whoever presents them in whatever order, only the holder gets tokens", async () => {
  const step = fc.record({
    certificate: fc.constantFrom(own, foreign, undefined),
    back: fc.nat({ max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await using node = await openNode(sqliteMemory);
      const first = (await start(node, { certificate: own })).tokens.refresh_token ?? "";
      const held = [first];
      for (const { certificate, back } of steps) {
        const token = held[Math.max(0, held.length - 1 - back)];
        const form = { grant_type: "refresh_token", refresh_token: token };
        const answer = await ask(node, form, certificate === undefined ? {} : { certificate });
        if (certificate !== own) expect(answer.status).toBe(400);
        if (answer.status !== 200) continue;
        expect(claimsOf(accessTokenOf(answer))).toMatchObject({ cnf: { "x5t#S256": own } });
        held.push(refreshTokenOf(answer));
      }
    }),
    { numRuns: 40 },
  );
});
