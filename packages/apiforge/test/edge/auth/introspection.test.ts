import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";

import {
  createTokenVerifier,
  defineRoute,
  type IntrospectionOptions,
} from "../../../src/edge/index.ts";
import { ManualClock, startHarness } from "../edge-harness.ts";
import { signingKey } from "./token-fixture.ts";

/** What the issuer was asked, and what it answers. */
interface Asked {
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  readonly form: Readonly<Record<string, string>>;
}

interface Given {
  readonly status?: number;
  readonly body: string | object;
}

let server: Server;
let url: URL;
let asked: Asked[];
let answer: () => Given | Promise<Given>;
let clock: ManualClock;

const active = { active: true, sub: "usr_1", tenant: "ten_1", scope: "a b", aud: ["api"] };

beforeEach(async () => {
  asked = [];
  answer = () => ({ body: active });
  clock = new ManualClock();
  server = createServer((request, response) => void respond(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/introspect`);
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
  asked.push(await readAsked(request));
  const { status = 200, body } = await answer();
  response.writeHead(status, { "content-type": "application/json", location: "/elsewhere" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

async function readAsked(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { authorization, "content-type": contentType } = request.headers;
  const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()));
  return { authorization, contentType, form };
}

function verifierOf(options: Partial<IntrospectionOptions> = {}) {
  return createTokenVerifier({
    issuers: [],
    clock,
    introspection: { url, clientId: "a:pi", clientSecret: "s e", audience: "api", ...options },
  });
}

const refused = { code: "invalid_token" };
const unavailable = { code: "issuer_unavailable" };

test("a token that is no JWT is asked for as RFC 7662 has it", async () => {
  const exp = Math.floor(clock.now() / 1_000) + 60;
  answer = () => ({ body: { ...active, exp } });
  const verified = await verifierOf().verify("opaque-token");
  expect(verified.principal).toMatchObject({
    ...{ subject: "usr_1", tenant: "ten_1", scopes: ["a", "b"] },
  });
  expect(verified.expiresAt).toBe(exp * 1_000);
  const [request] = asked;
  expect(request?.form).toEqual({ token: "opaque-token", token_type_hint: "access_token" });
  expect(request?.contentType).toMatch(/^application\/x-www-form-urlencoded/);
  const credentials = request?.authorization?.replace("Basic ", "") ?? "";
  expect(Buffer.from(credentials, "base64").toString()).toBe("a%3Api:s+e");
});

test.for([
  ["it is not active", { active: false }],
  ["it is for another API", { ...active, aud: "other" }],
  ["it is for nobody in particular", { ...active, aud: undefined }],
  ["it names no tenant", { ...active, tenant: undefined }],
  ["it does not hold yet", { ...active, nbf: 9_999_999_999 }],
] as const)("a token is refused when %s", async ([, body]) => {
  answer = () => ({ body });
  await expect(verifierOf().verify("opaque")).rejects.toMatchObject(refused);
});

test("an expired token is refused as such, and one of another issuer", async () => {
  answer = () => ({ body: { ...active, exp: clock.now() / 1_000 } });
  await expect(verifierOf().verify("opaque")).rejects.toMatchObject({ code: "token_expired" });
  answer = () => ({ body: { ...active, iss: "https://other.test" } });
  const verifier = verifierOf({ issuer: "https://issuer.test" });
  await expect(verifier.verify("opaque")).rejects.toMatchObject(refused);
});

test.for([
  ["refuses us", { status: 401, body: {} }],
  ["fails", { status: 500, body: {} }],
  ["redirects", { status: 307, body: active }],
  ["answers something else", { body: "<html>" }],
  ["answers a list", { body: [active] }],
  ["does not say", { body: { sub: "usr_1" } }],
  ["says it by a text", { body: { ...active, active: "true" } }],
  ["has an expiry that is none", { body: { ...active, exp: "soon" } }],
  ["answers too much", { body: { ...active, more: "x".repeat(70_000) } }],
] as const)("nobody is let in when the issuer %s", async ([, given]) => {
  answer = () => given;
  await expect(verifierOf().verify("opaque")).rejects.toMatchObject(unavailable);
});

test("an issuer that does not answer is waited for 5 s", async () => {
  const held = Promise.withResolvers<Given>();
  answer = () => held.promise;
  const outcome = verifierOf()
    .verify("opaque")
    .catch((error: unknown) => error);
  while (asked.length === 0) await nextTurn();
  clock.advance(5_000);
  expect(await outcome).toMatchObject(unavailable);
  held.resolve({ body: active });
});

test("JWTs are not asked for, and neither is what is too long", async () => {
  const key = await signingKey("ES256");
  const token = await key.sign({ iss: "https://nobody.test", sub: "s", exp: 1 });
  for (const text of [token, "x".repeat(8_193)]) {
    await expect(verifierOf().verify(text)).rejects.toMatchObject(refused);
  }
  expect(asked).toEqual([]);
});

test("at most 100 are asked for at once", async () => {
  const held = Promise.withResolvers<Given>();
  answer = () => held.promise;
  const verifier = verifierOf();
  const all = Array.from({ length: 101 }, (_, index) => verifier.verify(`opaque-${index}`));
  await expect(all[100]).rejects.toMatchObject(unavailable);
  held.resolve({ body: active });
  expect(await Promise.all(all.slice(0, 100))).toHaveLength(100);
});

test("an endpoint that anybody could answer for is refused", () => {
  const plain = { url: new URL("http://issuer.test/introspect") };
  expect(() => verifierOf(plain)).toThrow("over https");
});

test("requests of one token are one question, and 300 s of them are too; the log has no token", async () => {
  const route = defineRoute({
    method: "GET",
    path: "/things",
    replies: { 204: null },
    transaction: "none",
    handler: () => ({ status: 204 }),
  });
  const verifier = verifierOf();
  const harness = await startHarness([route], { verifier, accessLog: {} });
  const call = async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    return harness.edge.inject({ url: "/things", headers });
  };
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("opaque")));
  expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([204]));
  harness.clock.advance(299_999);
  await call("opaque");
  expect(asked).toHaveLength(1);
  harness.clock.advance(1);
  await call("opaque");
  expect(asked).toHaveLength(2);
  answer = () => ({ status: 500, body: {} });
  const failed = await call("opaque-secret");
  expect(failed.statusCode).toBe(503);
  const seen = JSON.stringify(harness.lines) + failed.body;
  expect(seen).not.toContain("opaque-secret");
  expect(seen).not.toContain(url.host);
  await harness.stop();
});
