import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { until } from "@apiforge/testing";
import { afterEach, beforeAll, expect, test } from "vitest";

import type { UpstreamOptions } from "../../src/gateway/index.ts";
import { upstream } from "../../src/gateway/index.ts";
import { Authority, type Credentials } from "@apiforge/testing/certificates";
import { startGateway, type GatewayHarness } from "./gateway-harness.ts";

let authority: Authority;
let client: Credentials;
let renewed: Credentials;
const closing: (() => Promise<unknown> | void)[] = [];

beforeAll(async () => {
  authority = await Authority.create("Root");
  client = await authority.issue("gateway");
  renewed = await authority.issue("renewed");
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** An upstream of https that answers with the name in its caller's certificate; `/slow` when it is told to. */
async function startUpstream() {
  const { cert, key } = await authority.issue("upstream", { usage: "server" });
  const waiting: (() => void)[] = [];
  const offered = { cert, key, ca: authority.cert, requestCert: true, rejectUnauthorized: false };
  const server = createServer(offered, (request, response) => {
    const socket = request.socket as TLSSocket;
    const name = socket.getPeerX509Certificate()?.subject ?? "nobody";
    const answer = (): unknown => response.end(`${name} ${String(socket.authorized)}`);
    if (request.url === "/slow") waiting.push(answer);
    else answer();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, waiting };
}

async function gatewayTo(url: string, options: Partial<UpstreamOptions>): Promise<GatewayHarness> {
  const gateway = await startGateway([url], { upstreamOptions: options });
  closing.push(() => gateway.stop());
  return gateway;
}

async function seenBy({ url }: GatewayHarness, path = "/"): Promise<string> {
  return (await fetch(url + path)).text();
}

test("an upstream that asks for a certificate gets the gateway's", async () => {
  const { url } = await startUpstream();
  const { key, cert } = client;
  const ca = authority.cert;
  const showing = await gatewayTo(url, { ca, certificate: { key, cert } });
  expect(await seenBy(showing)).toBe("CN=gateway true");
  expect(await seenBy(await gatewayTo(url, { ca }))).toBe("nobody false");
});

test("a renewed certificate is shown on new connections, and a request under way is not touched", async () => {
  const { url, waiting } = await startUpstream();
  const { key, cert } = client;
  const ca = authority.cert;
  const gateway = await gatewayTo(url, { ca, certificate: { key, cert } });
  const slow = seenBy(gateway, "/slow");
  await until("it is under way", () => waiting.length > 0);
  gateway.behind.renewTls({ ca, key: renewed.key, cert: renewed.cert });
  expect(await seenBy(gateway)).toBe("CN=renewed true");
  for (const answer of waiting) answer();
  expect(await slow).toBe("CN=gateway true");
  // What does not fit together changes nothing.
  expect(() => gateway.behind.renewTls({ ca, key: client.key, cert: renewed.cert })).toThrow(
    "Upstream behind: its TLS material cannot be used",
  );
  expect(await seenBy(gateway)).toBe("CN=renewed true");
});

test("files are looked at again while a server is open, and what cannot be used is not", async () => {
  const folder = await mkdtemp(join(tmpdir(), "upstream-tls-"));
  closing.push(() => rm(folder, { recursive: true }));
  const tlsFiles = {
    ca: join(folder, "ca.pem"),
    key: join(folder, "key.pem"),
    cert: join(folder, "cert.pem"),
  };
  await writeFile(tlsFiles.ca, authority.cert);
  await writeFile(tlsFiles.key, client.key);
  await writeFile(tlsFiles.cert, client.cert);
  const gateway = await gatewayTo((await startUpstream()).url, { tlsFiles });
  expect(await seenBy(gateway)).toBe("CN=gateway true");
  await writeFile(tlsFiles.key, renewed.key);
  const warned = once(process, "warning");
  gateway.upstreamClock.advance(60_000);
  expect(String((await warned)[0])).toContain("changed TLS files cannot be used");
  expect(await seenBy(gateway)).toBe("CN=gateway true");
  await writeFile(tlsFiles.cert, renewed.cert);
  gateway.upstreamClock.advance(60_000);
  expect(await seenBy(gateway)).toBe("CN=renewed true");
});

test("an upstream is not declared with half of a certificate", () => {
  const declare = (options: Partial<UpstreamOptions>) => () =>
    upstream({ name: "orders", endpoints: ["https://127.0.0.1:1"], ...options });
  const { key } = client;
  expect(declare({ certificate: { key, cert: renewed.cert } })).toThrow(
    "Upstream orders: its TLS material cannot be used",
  );
  expect(declare({ tlsFiles: { key: "/nowhere/key.pem" } })).toThrow("ENOENT");
});
