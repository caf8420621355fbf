import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import { createForge, openDevIssuer, type Forge } from "../../../src/app/index.ts";
import { defineRoute, unauthorized } from "../../../src/edge/index.ts";
import { Tokens, type TokenReply } from "../../../src/features/tokens/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";

const issuer = "https://api.test";

/** A system whose users log in by a password, and a server over it on real sockets. */
async function serve(databaseUrl: string | undefined, dataDir: string) {
  const tokens = new Tokens({ issuer });
  const logIn = defineRoute({
    method: "POST",
    path: "/log-in",
    auth: "none",
    body: z.object({ name: z.string(), password: z.string() }),
    replies: {
      200: z.object({
        access_token: z.string(),
        token_type: z.literal("Bearer"),
        expires_in: z.int(),
        refresh_token: z.string().optional(),
        scope: z.string().optional(),
      }),
    },
    handler: async ({ body, tx }) => {
      if (body.password !== "right") throw unauthorized("wrong_password", "Try again");
      const session = { subject: body.name, tenant: "ten_1", role: "member", scopes: ["read"] };
      const started = await tokens.startSession(tx, session);
      return { status: 200, body: started.tokens, headers: { "cache-control": "no-store" } };
    },
  });
  const who = defineRoute({
    method: "GET",
    path: "/who",
    scopes: ["read"],
    replies: { 200: z.object({ subject: z.string(), tenant: z.string(), role: z.string() }) },
    handler: ({ principal: { subject, tenant, role } }) => ({
      status: 200,
      body: { subject, tenant, role },
    }),
  });
  const logOut = defineRoute({
    method: "DELETE",
    path: "/session",
    replies: { 204: null },
    handler: async ({ principal, tx }) => {
      await tokens.endSessions(tx, principal, String(principal.claims?.["sid"]));
      return { status: 204 };
    },
  });
  const config = { port: 0, dataDir, databaseUrl };
  const forge = await createForge(
    { routes: [logIn, who, logOut] },
    { tokens, config, log: silentLog },
  );
  const { url } = await forge.listen();
  return { forge, tokens, url };
}

async function withStore(
  name: string,
  run: (databaseUrl: string | undefined, dataDir: string) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "tokens-"));
  const database = name === "postgres" ? await createDatabase(postgresUrl()) : undefined;
  try {
    await run(database?.url, dataDir);
  } finally {
    await database?.drop();
    await rm(dataDir, { recursive: true });
  }
}

function post(url: string, path: string, body: string | URLSearchParams, headers = {}) {
  return fetch(`${url}${path}`, { method: "POST", body, headers });
}

async function logIn(url: string): Promise<TokenReply> {
  const body = JSON.stringify({ name: "usr_1", password: "right" });
  const answer = await post(url, "/log-in", body, { "content-type": "application/json" });
  return (await answer.json()) as TokenReply;
}

function who(url: string, token: string | undefined) {
  return fetch(`${url}/who`, { headers: { authorization: `Bearer ${token}` } });
}

function exchange(url: string, token: string | undefined) {
  const form = { grant_type: "refresh_token", refresh_token: token ?? "" };
  return post(url, "/oauth/token", new URLSearchParams(form));
}

function setUp(forge: Forge, tokens: Tokens) {
  const actor = { tenant: "ten_1", requestId: "req_set_up" };
  const client = { name: "billing", tenant: "ten_1", scopes: ["read"] };
  return forge.durable.transact("set-up", actor, (tx) => tokens.registerClient(tx, client));
}

describe.for(["sqlite", "postgres"])("a server on %s", (store) => {
  test("logs a user in, keeps the session over a restart, and logs out", () =>
    withStore(store, async (databaseUrl, dataDir) => {
      const before = await serve(databaseUrl, dataDir);
      const first = await logIn(before.url);
      const answer = await who(before.url, first.access_token);
      expect(await answer.json()).toEqual({ subject: "usr_1", tenant: "ten_1", role: "member" });
      const second = await exchange(before.url, first.refresh_token);
      expect(second.status).toBe(200);
      expect(second.headers.get("cache-control")).toBe("no-store");
      const { refresh_token: kept } = (await second.json()) as TokenReply;
      await before.forge.stop();

      const after = await serve(databaseUrl, dataDir);
      expect((await who(after.url, first.access_token)).status).toBe(200);
      const third = (await (await exchange(after.url, kept)).json()) as TokenReply;
      const authorization = `Bearer ${third.access_token}`;
      const ended = await fetch(`${after.url}/session`, {
        method: "DELETE",
        headers: { authorization },
      });
      expect(ended.status).toBe(204);
      const refused = await exchange(after.url, third.refresh_token);
      expect([refused.status, await refused.json()]).toEqual([
        400,
        { error: "invalid_grant", error_description: expect.any(String) },
      ]);
      await after.forge.stop();
    }));

  test("gives a service tokens that another service verifies by the published keys", () =>
    withStore(store, async (databaseUrl, dataDir) => {
      const { forge, tokens, url } = await serve(databaseUrl, dataDir);
      const { clientId, clientSecret } = await setUp(forge, tokens);
      const headers = {
        authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
      };
      const form = new URLSearchParams({ grant_type: "client_credentials" });
      const answer = await post(url, "/oauth/token", form, headers);
      const { access_token: token } = (await answer.json()) as TokenReply;
      expect(await (await who(url, token)).json()).toMatchObject({ subject: clientId });
      const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));
      const expected = { issuer, audience: "apiforge", typ: "at+jwt", algorithms: ["ES256"] };
      expect((await jwtVerify(token, keys, expected)).payload.sub).toBe(clientId);
      const published = await fetch(`${url}/.well-known/jwks.json`);
      expect(published.headers.get("cache-control")).toBe("public, max-age=300");
      // The development issuer is there still.
      const dev = await openDevIssuer(forge.config, silentLog);
      const devToken = await dev.sign({
        subject: "usr_d",
        tenant: "t",
        role: "",
        scopes: ["read"],
      });
      expect((await who(url, devToken)).status).toBe(200);
      await forge.stop();
    }));

  test("refuses a client with the challenge of its scheme, and a large form as every route does", () =>
    withStore(store, async (databaseUrl, dataDir) => {
      const { forge, url } = await serve(databaseUrl, dataDir);
      const form = new URLSearchParams({ grant_type: "client_credentials", client_id: "cli_x" });
      const refused = await post(url, "/oauth/token", form);
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
        401,
        'Basic realm="apiforge"',
      ]);
      const large = await post(url, "/oauth/token", `grant_type=${"x".repeat(20_000)}`);
      expect([large.status, await large.json()]).toMatchObject([
        413,
        { error: { code: "body_too_large" } },
      ]);
      await forge.stop();
    }));
});
