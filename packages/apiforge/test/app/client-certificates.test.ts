import { hash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";

import { createForge } from "../../src/app/index.ts";
import { defineRoute } from "../../src/edge/index.ts";
import { Tokens, type TokenReply } from "../../src/features/tokens/index.ts";
import { silentLog } from "../../src/kernel/index.ts";
import { Authority, type Credentials } from "@apiforge/testing/certificates";
import { callHttps, type HttpsCall } from "../edge/certificates/https-call.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "mtls-"));
});

afterEach(() => rm(directory, { recursive: true }));

const tokens = () => new Tokens({ issuer: "https://api.test" });

/** The accounts of a bank: a certificate that the authority has given out, and a scope. */
const accounts = defineRoute({
  method: "GET",
  path: "/accounts",
  certificate: "required",
  scopes: ["accounts:read"],
  replies: { 200: z.object({ subject: z.string(), certificate: z.string().nullable() }) },
  handler: ({ principal: { subject, certificate = null } }) => ({
    status: 200,
    body: { subject, certificate },
  }),
});
/** Who calls, by the certificate alone. */
const who = defineRoute({
  method: "GET",
  path: "/who",
  auth: "certificate",
  roles: ["payment-provider"],
  replies: { 200: z.object({ subject: z.string(), tenant: z.string() }) },
  handler: ({ principal: { subject, tenant } }) => ({ status: 200, body: { subject, tenant } }),
});

/** A server over TLS, with files as an operator lays them. */
async function serve(root: Authority, own: Tokens) {
  const server = await root.issue("server", { usage: "server" });
  const files = { tlsKeyFile: server.key, tlsCertFile: server.cert, clientCaFile: root.cert };
  const paths = Object.entries(files).map(async ([name, text]) => {
    await writeFile(join(directory, name), text);
    return [name, join(directory, name)];
  });
  const config = { port: 0, dataDir: directory, ...Object.fromEntries(await Promise.all(paths)) };
  const forge = await createForge(
    { routes: [accounts, who] },
    {
      tokens: own,
      config,
      log: silentLog,
      identifyCertificate: ({ x509 }) =>
        x509.subject === "CN=provider"
          ? { subject: "tpp_1", tenant: "ten_1", role: "payment-provider" }
          : undefined,
    },
  );
  const { url } = await forge.listen();
  return { forge, url: new URL(url) };
}

test("a payment provider gets tokens by its certificate, which nobody else can use", async () => {
  const root = await Authority.create("Root");
  const [provider, other] = [await root.issue("provider"), await root.issue("other")];
  const own = tokens();
  const { forge, url } = await serve(root, own);
  expect(url.protocol).toBe("https:");
  const call = (path: string, options: HttpsCall) =>
    callHttps(Number(url.port), path, { ca: root.cert, ...options });

  const actor = { tenant: "ten_1", requestId: "req_set_up" };
  const certificate = hash("sha256", provider.x509.raw, "base64url");
  const client = { name: "provider", tenant: "ten_1", scopes: ["accounts:read"], certificate };
  const { clientId } = await forge.durable.transact("set-up", actor, (tx) =>
    own.registerClient(tx, client),
  );
  const form = new URLSearchParams({ grant_type: "client_credentials", client_id: clientId });
  const askToken = (by: Partial<Credentials>) =>
    call("/oauth/token", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: form.toString(),
      ...by,
    });

  for (const by of [other, {}]) {
    expect(await askToken(by)).toMatchObject({ status: 401, body: { error: "invalid_client" } });
  }
  const { body } = await askToken(provider);
  const headers = { authorization: `Bearer ${(body as TokenReply).access_token}` };
  expect(await call("/accounts", { ...provider, headers })).toMatchObject({
    status: 200,
    body: { subject: clientId, certificate },
  });
  // Another that the authority has given out is nobody of ours; without any, there is nothing to look at.
  expect(await call("/accounts", { ...other, headers })).toMatchObject({
    status: 401,
    body: { error: { code: "invalid_certificate" } },
  });
  expect(await call("/accounts", { headers })).toMatchObject({
    status: 401,
    body: { error: { code: "missing_certificate" } },
  });
  expect(await call("/who", provider)).toMatchObject({
    status: 200,
    body: { subject: "tpp_1", tenant: "ten_1" },
  });
  await forge.stop();
});
