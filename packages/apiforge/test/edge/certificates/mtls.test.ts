import { once } from "node:events";
import { Agent } from "node:https";
import { createConnection, createServer, type AddressInfo, type Socket } from "node:net";
import { connect, TLSSocket } from "node:tls";
import { ManualClock } from "@apiforge/testing";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import {
  ClientCertificates,
  createTokenVerifier,
  defineRoute,
  type EdgeOptions,
  type TrustedIssuer,
} from "../../../src/edge/index.ts";
import { answerClientError } from "../../../src/edge/client-error.ts";
import { signingKey, type SigningKey } from "../auth/token-fixture.ts";
import { startHarness } from "../edge-harness.ts";
import { Authority, hoursFromNow, type Credentials } from "@apiforge/testing/certificates";
import { callHttps, type HttpsAnswer, type HttpsCall } from "./https-call.ts";

const who = z.object({
  subject: z.string(),
  certificate: z.string().nullable(),
  credentialId: z.string().nullable(),
});

/** A route that says who its caller is. */
function whoRoute(path: string, options: object) {
  return defineRoute({
    method: "GET",
    path,
    transaction: "none",
    replies: { 200: who },
    ...options,
    handler: ({ principal, request }) => ({
      status: 200,
      body: {
        subject: principal?.subject ?? "nobody",
        certificate: principal?.certificate ?? request.certificate ?? null,
        credentialId: principal?.credentialId ?? null,
      },
    }),
  });
}

const routes = [
  whoRoute("/certificate", { auth: "certificate" }),
  whoRoute("/accounts", { certificate: "required", scopes: ["accounts:read"] }),
  whoRoute("/token", {}),
  whoRoute("/noted", { auth: "none", certificate: "noted" }),
  whoRoute("/open", { auth: "none" }),
];

let root: Authority;
let middle: Authority;
let server: Credentials;
let client: Credentials;
let other: Credentials;
let tokens: SigningKey;
let issuer: TrustedIssuer;

beforeAll(async () => {
  root = await Authority.create("Root");
  middle = await Authority.create("Middle", { issuer: root });
  server = await root.issue("server", { usage: "server" });
  [client, other] = [await middle.issue("client"), await root.issue("other")];
  tokens = await signingKey("ES256");
  issuer = { issuer: "https://issuer.test", audience: "api", jwks: { keys: [tokens.jwk] } };
});

function thumbprint({ x509 }: Credentials): string {
  return Buffer.from(x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
}

/** An edge on a real port. */
async function serve(options: Partial<EdgeOptions> = {}, trustedProxies: readonly string[] = []) {
  const clock = new ManualClock(Date.now());
  const certificates = new ClientCertificates({ ca: root.cert, clock, trustedProxies });
  const harness = await startHarness(routes, {
    clock,
    tls: { key: server.key, cert: server.cert },
    certificates,
    verifier: createTokenVerifier({ issuers: [issuer], clock }),
    ...options,
  });
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  const { port } = new URL(url);
  return {
    url,
    port: Number(port),
    edge: harness.edge,
    certificates,
    [Symbol.asyncDispose]: () => harness.stop(),
  };
}

interface Answer extends HttpsAnswer {
  readonly body: {
    readonly subject?: string;
    readonly certificate?: string | null;
    readonly error?: { readonly code: string; readonly message: string };
  };
}

async function get(port: number, path: string, call: HttpsCall = {}): Promise<Answer> {
  const answer = await callHttps(port, path, { ca: root.cert, ...call });
  return { ...answer, body: answer.body as Answer["body"] };
}

/** Status and code, or subject, of an answer. */
function gist({ status, body }: Answer): string {
  return `${status} ${body.error?.code ?? body.subject}`;
}

async function bearer(claims: object = {}) {
  const exp = Math.floor(Date.now() / 1_000) + 300;
  const common = { iss: issuer.issuer, aud: "api", sub: "usr_1", tenant: "ten_1", exp };
  return { authorization: `Bearer ${await tokens.sign({ ...common, ...claims })}` };
}

describe("over TLS", () => {
  test("a certificate tells who calls, by way of the authorities that it brings", async () => {
    await using served = await serve();
    const answer = await get(served.port, "/certificate", client);
    expect(answer).toMatchObject({
      status: 200,
      body: {
        subject: `x5t:${thumbprint(client)}`,
        certificate: thumbprint(client),
        credentialId: thumbprint(client),
      },
    });
  });

  test("a caller without a certificate is served where none is needed, and told where one is", async () => {
    await using served = await serve();
    expect(gist(await get(served.port, "/open"))).toBe("200 nobody");
    expect(gist(await get(served.port, "/certificate"))).toBe("401 missing_certificate");
    const { headers: given } = { headers: await bearer({ scope: "accounts:read" }) };
    expect(gist(await get(served.port, "/accounts", { headers: given }))).toBe(
      "401 missing_certificate",
    );
  });

  test("a bad certificate is told from a good one on the routes that need it alone", async () => {
    await using served = await serve();
    const stranger = await (await Authority.create("Stranger")).issue("client");
    const expired = await root.issue("expired", { until: hoursFromNow(-0.5) });
    const cases: [Credentials, RegExp][] = [
      [stranger, /not issued by an authority/],
      [expired, /has expired/],
      [server, /not issued by an authority|not one for clients/],
    ];
    for (const [credentials, message] of cases) {
      const answer = await get(served.port, "/certificate", credentials);
      expect(gist(answer)).toBe("401 invalid_certificate");
      expect(answer.body.error?.message).toMatch(message);
      expect(gist(await get(served.port, "/open", credentials))).toBe("200 nobody");
    }
  });

  test("a revocation counts on connections that are open", async () => {
    await using served = await serve();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = () => get(served.port, "/certificate", { ...client, agent });
    const before = await call();
    expect(before.status).toBe(200);
    const crl = `${await middle.revoke([client.x509])}\n${await root.revoke([])}`;
    served.certificates.renew({ ca: root.cert, crl });
    const after = await call();
    expect(gist(after)).toBe("401 invalid_certificate");
    expect(after.socket).toBe(before.socket);
    expect(gist(await get(served.port, "/certificate", other))).toMatch(/^200 /);
    agent.destroy();
  });

  test("a session that is resumed has its certificate still, and the way to its authority", async () => {
    await using served = await serve();
    const { port } = served;
    const session = await firstSession(port, client);
    // As after five minutes: nothing is remembered of it.
    served.certificates.renew({ ca: root.cert });
    const answer = await get(port, "/certificate", { ...client, session, agent: false });
    expect(answer.socket.isSessionReused()).toBe(true);
    expect(gist(answer)).toBe(`200 x5t:${thumbprint(client)}`);
  });

  test("a new key and certificate serve new connections, and the open ones go on", async () => {
    await using served = await serve();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const before = await get(served.port, "/open", { agent });
    const renewed = await root.issue("renewed", { usage: "server" });
    served.edge.renewTls({ key: renewed.key, cert: renewed.cert });
    const open = await get(served.port, "/open", { agent });
    expect(open.socket).toBe(before.socket);
    const fresh = await get(served.port, "/open");
    expect(fresh.socket.getPeerX509Certificate()?.fingerprint256).toBe(renewed.x509.fingerprint256);
    // What does not fit together changes nothing.
    expect(() => served.edge.renewTls({ key: server.key, cert: renewed.cert })).toThrow();
    expect(gist(await get(served.port, "/open"))).toBe("200 nobody");
    agent.destroy();
  });

  test.each(["ERR_TLS_HANDSHAKE_TIMEOUT", "ERR_SSL_NO_SHARED_CIPHER"])(
    "a handshake that ends in %s leaves nothing open",
    async (code) => {
      await using pair = await rawConnection();
      const handshaking = new TLSSocket(pair.socket, { isServer: true });
      answerClientError(Object.assign(new Error("failed"), { code }), handshaking);
      expect(handshaking.destroyed).toBe(true);
    },
  );

  test("plain HTTP and TLS before 1.2 are not spoken", async () => {
    await using served = await serve();
    await expect(fetch(served.url.replace("https:", "http:"))).rejects.toThrow();
    const old = { maxVersion: "TLSv1.1", minVersion: "TLSv1" } as const;
    await expect(
      get(served.port, "/open", { ...old, ciphers: "ALL:@SECLEVEL=0" }),
    ).rejects.toThrow();
    expect(gist(await get(served.port, "/open"))).toBe("200 nobody");
  });
});

describe("beside a token", () => {
  test("both are needed, and the scope too", async () => {
    await using served = await serve();
    const headers = await bearer({ scope: "accounts:read" });
    const both = await get(served.port, "/accounts", { ...client, headers });
    expect(both).toMatchObject({
      status: 200,
      body: {
        subject: "usr_1",
        certificate: thumbprint(client),
        // So that limits by credential count each certificate.
        credentialId: thumbprint(client),
      },
    });
    expect(gist(await get(served.port, "/accounts", client))).toBe("401 missing_token");
    expect(gist(await get(served.port, "/accounts", { headers }))).toBe("401 missing_certificate");
    const small = await bearer({ scope: "other" });
    expect(gist(await get(served.port, "/accounts", { ...client, headers: small }))).toBe(
      "403 insufficient_scope",
    );
  });

  test("a token that is bound to a certificate is its holder's alone, on every route", async () => {
    await using served = await serve();
    const cnf = { "x5t#S256": thumbprint(client) };
    const headers = await bearer({ cnf, scope: "accounts:read" });
    // Twice each: the second answer comes out of the cache of verified tokens.
    for (let turn = 0; turn < 2; turn++) {
      for (const path of ["/token", "/accounts"]) {
        const call = (options: HttpsCall) => get(served.port, path, { ...options, headers });
        expect(gist(await call(client))).toBe("200 usr_1");
        expect(gist(await call(other))).toBe("401 invalid_token");
      }
      expect(gist(await get(served.port, "/token", { headers }))).toBe("401 invalid_token");
    }
  });

  test("a token stays bound whatever the deployment makes of its principal", async () => {
    const enrich = async () => ({ subject: "usr_9", tenant: "ten_9", role: "", scopes: [] });
    await using served = await serve({ authoriser: { enrich } });
    const headers = await bearer({ cnf: { "x5t#S256": thumbprint(client) } });
    expect(gist(await get(served.port, "/token", { ...client, headers }))).toBe("200 usr_9");
    expect(gist(await get(served.port, "/token", { ...other, headers }))).toBe("401 invalid_token");
  });

  test("a bound token is refused where no certificate can be seen, and a binding that is none too", async () => {
    await using harness = await bareEdge();
    const bound = await bearer({ cnf: { "x5t#S256": thumbprint(client) } });
    for (const headers of [bound, await bearer({ cnf: { "x5t#S256": 1 } })]) {
      const answer = await harness.edge.inject({ method: "GET", url: "/token", headers });
      expect([answer.statusCode, answer.json().error.code]).toEqual([401, "invalid_token"]);
    }
    const free = await harness.edge.inject({
      method: "GET",
      url: "/token",
      headers: await bearer({ cnf: { jkt: "x" } }),
    });
    expect(free.statusCode).toBe(200);
  });
});

describe("Client-Cert", () => {
  const header = ({ x509 }: Credentials) => `:${x509.raw.toString("base64")}:`;

  test("of a trusted proxy is the certificate, and the proxy's own is not", async () => {
    await using served = await serve({}, ["127.0.0.1"]);
    const headers = { "Client-Cert": header(other) };
    const answer = await get(served.port, "/certificate", { ...client, headers });
    expect(gist(answer)).toBe(`200 x5t:${thumbprint(other)}`);
    expect(gist(await get(served.port, "/certificate", client))).toBe("401 missing_certificate");
  });

  test("of anybody else is not there, for stages and handlers neither", async () => {
    await using served = await serve();
    const headers = { "Client-Cert": header(other), "Client-Cert-Chain": header(other) };
    expect(gist(await get(served.port, "/certificate", { headers }))).toBe(
      "401 missing_certificate",
    );
    const noted = await get(served.port, "/noted", { ...client, headers });
    expect(noted.body.certificate).toBe(thumbprint(client));
  });

  test("is taken away where no certificates are asked for at all", async () => {
    const echo = defineRoute({
      method: "GET",
      path: "/echo",
      auth: "none",
      transaction: "none",
      headers: z.object({ "client-cert": z.string().optional() }),
      replies: { 200: z.object({ seen: z.string().nullable() }) },
      handler: ({ headers }) => ({ status: 200, body: { seen: headers["client-cert"] ?? null } }),
    });
    const { edge, stop } = await startHarness([echo]);
    const answer = await edge.inject({ url: "/echo", headers: { "client-cert": header(other) } });
    expect(answer.json()).toEqual({ seen: null });
    await stop();
  });
});

test.each([
  [{ auth: "none", certificate: "required" }, "needs auth that asks for one"],
  [{ auth: "certificate", certificate: "noted" }, "asks for the certificate already"],
])("a declaration that contradicts itself is refused: %o", (options, message) => {
  expect(() => whoRoute("/x", options)).toThrow(message);
});

test("a route that needs certificates does not start on an edge without them", async () => {
  await expect(startHarness([whoRoute("/certificate", { auth: "certificate" })])).rejects.toThrow(
    "Route GET /certificate: no client certificates are asked for",
  );
});

/** An edge without TLS and certificates. */
async function bareEdge() {
  const clock = new ManualClock(Date.now());
  const verifier = createTokenVerifier({ issuers: [issuer], clock });
  const harness = await startHarness([whoRoute("/token", {})], { clock, verifier });
  return { edge: harness.edge, [Symbol.asyncDispose]: () => harness.stop() };
}

/** The server's end of a connection on which nothing is said. */
async function rawConnection() {
  const listener = createServer();
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const { port } = listener.address() as AddressInfo;
  const client = createConnection(port, "127.0.0.1");
  const [socket] = (await once(listener, "connection")) as [Socket];
  return {
    socket,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await once(listener.close(), "close");
    },
  };
}

/** What lets a client go on with the session of an earlier connection. */
async function firstSession(port: number, { key, cert }: Credentials): Promise<Buffer> {
  const socket = connect({ host: "127.0.0.1", port, key, cert, ca: root.cert });
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  socket.once("session", resolve).once("error", reject);
  socket.write("GET /certificate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  socket.resume();
  const session = await promise;
  socket.destroy();
  return session;
}
