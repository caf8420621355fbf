import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:https";
import { afterEach, beforeAll, expect, test } from "vitest";

import { Authority, hoursFromNow, type Credentials } from "@apiforge/testing/certificates";
import { startGateway, type GatewayHarness } from "./gateway-harness.ts";

let authority: Authority;
let stranger: Authority;
const closing: (() => Promise<unknown> | void)[] = [];

beforeAll(async () => {
  authority = await Authority.create("Root");
  stranger = await Authority.create("Stranger");
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A gateway to an upstream of https that shows `shown`, by the name `host`. */
async function gatewayTo(
  { cert, key }: Credentials,
  { host = "127.0.0.1", ca = authority.cert }: { host?: string; ca?: string } = {},
): Promise<GatewayHarness> {
  const server = createServer({ cert, key }, (_request, response) => response.end("ok"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const gateway = await startGateway([`https://${host}:${port}`], { upstreamOptions: { ca } });
  closing.push(() => gateway.stop());
  return gateway;
}

/** What a POST, which must not be repeated blindly, is told. */
async function refusalOf({ url }: GatewayHarness): Promise<object> {
  const answer = await fetch(url, { method: "POST", body: "secret" });
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  expect(error.message).not.toMatch(/cert|127\.0\.0\.1|localhost|expired/i);
  const [, type] = /error=(\S+)$/.exec(answer.headers.get("proxy-status") ?? "") ?? [];
  return { status: answer.status, code: error.code, type };
}

const refused = { status: 502, code: "upstream_unreachable", type: "tls_certificate_error" };

test("an upstream with a certificate of a known authority is asked", async () => {
  const gateway = await gatewayTo(await authority.issue("upstream", { usage: "server" }));
  expect(await (await fetch(gateway.url)).text()).toBe("ok");
});

test("one that has expired is sent nothing", async () => {
  const until = hoursFromNow(-1);
  const from = hoursFromNow(-2);
  const expired = await authority.issue("upstream", { usage: "server", from, until });
  expect(await refusalOf(await gatewayTo(expired))).toEqual(refused);
});

test("one for another host is sent nothing", async () => {
  const elsewhere = await authority.issue("upstream", { usage: "server" });
  expect(await refusalOf(await gatewayTo(elsewhere, { host: "localhost" }))).toEqual(refused);
});

test("one of an unknown authority is sent nothing", async () => {
  const unknown = await stranger.issue("upstream", { usage: "server" });
  expect(await refusalOf(await gatewayTo(unknown))).toEqual(refused);
});

test("one that is for clients only is sent nothing", async () => {
  const client = await authority.issue("upstream", { usage: "client" });
  expect(await refusalOf(await gatewayTo(client))).toEqual(refused);
});
