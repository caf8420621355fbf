import { hash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { StringValueSchema, type StringValue } from "@bufbuild/protobuf/wkt";
import {
  credentials,
  makeGenericClientConstructor,
  Metadata,
  status,
  type Client,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { Authority, ownName, type Credentials } from "@apiforge/testing/certificates";
import { createForge, Tokens, upstream, type Forge, type Upstream } from "apiforge";
import { afterAll, beforeAll, expect, test } from "vitest";

import {
  ServiceTokens,
  shop,
  startPrices,
  startStock,
  type Identity,
  type RunningService,
} from "../src/index.ts";
import { stockService } from "../src/stock.ts";

const issuer = "https://shop.test";
const spans = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
const StockClient = makeGenericClientConstructor(stockService, "Stock");

let directory: string;
let authority: Authority;
let forge: Forge;
let gatewayUrl: string;
let prices: RunningService;
let stock: RunningService;
let toPrices: Upstream;
let caller: { readonly identity: Identity; readonly tokens: ServiceTokens };
let client: Client;

interface Reserved {
  readonly code: number;
  readonly details: string;
  readonly receipt: string | undefined;
}

beforeAll(async () => {
  provider.register();
  directory = await mkdtemp(join(tmpdir(), "microservices-"));
  authority = await Authority.create("Shop");
  const [atGateway, toUpstreams, atPrices, atStock, ofCaller] = await Promise.all([
    identity("gateway", "any"),
    identity("gateway to its upstreams", "client"),
    identity("prices", "any"),
    identity("stock", "any"),
    identity("caller", "client"),
  ]);
  const own = new Tokens({ issuer });
  const ids = { stock: "", caller: "" };
  const url = (): string => gatewayUrl;
  prices = await startPrices(atPrices);
  const tokensOfStock = { bearer: () => bearers.stock.bearer() };
  const bearers = { stock: new ServiceTokens(url, "", atStock) };
  stock = await startStock({ identity: atStock, tokens: tokensOfStock, gatewayUrl: url });
  const { key, cert, ca } = toUpstreams;
  const secure = { ca, certificate: { key, cert } };
  toPrices = upstream({
    name: "prices",
    endpoints: [prices.url],
    breaker: { failures: 3 },
    ...secure,
  });
  const toStock = upstream({ name: "stock", endpoints: [stock.url], ...secure });
  forge = await createForge(shop({ stock: toStock, prices: toPrices }), {
    tokens: own,
    config: { port: 0, dataDir: directory, logLevel: "silent", ...(await files(atGateway)) },
  });
  gatewayUrl = (await forge.listen()).url;
  const actor = { subject: "operator", tenant: "shop", requestId: "setup" };
  await forge.durable.transact("register", actor, async (tx) => {
    const register = async (name: string, { cert: pem }: Identity, scope: string) =>
      (
        await own.registerClient(tx, {
          name,
          tenant: "shop",
          scopes: [scope],
          certificate: thumbprint(pem),
        })
      ).clientId;
    ids.stock = await register("stock", atStock, "prices:read");
    ids.caller = await register("caller", ofCaller, "stock:reserve");
  });
  bearers.stock = new ServiceTokens(url, ids.stock, atStock);
  caller = { identity: ofCaller, tokens: new ServiceTokens(url, ids.caller, ofCaller) };
  client = stockClient(ofCaller);
});

afterAll(async () => {
  client.close();
  await forge.stop();
  await stock.stop();
  await prices.stop();
  await provider.shutdown();
  await rm(directory, { recursive: true });
});

async function identity(name: string, usage: "any" | "client"): Promise<Identity> {
  const { key, cert }: Credentials = await authority.issue(name, { usage });
  return { key, cert, ca: authority.cert };
}

async function files({ key, cert, ca }: Identity) {
  const named = { tlsKeyFile: key, tlsCertFile: cert, clientCaFile: ca };
  for (const [name, text] of Object.entries(named)) await writeFile(join(directory, name), text);
  return {
    tlsKeyFile: join(directory, "tlsKeyFile"),
    tlsCertFile: join(directory, "tlsCertFile"),
    clientCaFile: join(directory, "clientCaFile"),
  };
}

function thumbprint(pem: string): string {
  const [base64 = ""] = /(?<=-----BEGIN CERTIFICATE-----)[^-]+/.exec(pem) ?? [];
  return hash("sha256", Buffer.from(base64, "base64"), "base64url");
}

function stockClient({ key, cert, ca }: Identity): Client {
  const [root, own, chain] = [Buffer.from(ca), Buffer.from(key), Buffer.from(cert)];
  return new StockClient(new URL(gatewayUrl).host, credentials.createSsl(root, own, chain), {
    "grpc.ssl_target_name_override": ownName,
  });
}

async function reserve(sku: string, metadata: Metadata, by = client): Promise<Reserved> {
  const { promise, resolve } = Promise.withResolvers<Reserved>();
  const message = create(StringValueSchema, { value: sku });
  const { path, requestSerialize, responseDeserialize } = stockService.Reserve;
  const done = (error: ServiceError | null, receipt?: StringValue): void =>
    resolve({
      code: error?.code ?? status.OK,
      details: error?.details ?? "",
      receipt: receipt?.value,
    });
  by.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, metadata, done);
  return promise;
}

async function withToken(): Promise<Metadata> {
  const metadata = new Metadata();
  metadata.set("authorization", await caller.tokens.bearer());
  return metadata;
}

test("a call goes through both services, each of which knows who asks", async () => {
  expect(await reserve("tea", await withToken())).toEqual({
    code: status.OK,
    details: "",
    receipt: "tea for 450 cents",
  });
  expect(await reserve("silence", await withToken())).toMatchObject({
    code: status.NOT_FOUND,
    details: "There is no such article",
  });
});

test("who has no token, another's, or the right one over another connection, is refused", async () => {
  expect((await reserve("tea", new Metadata())).code).toBe(status.UNAUTHENTICATED);
  const stranger = stockClient(await identity("stranger", "client"));
  const stolen = await reserve("tea", await withToken(), stranger);
  expect([stolen.code, stolen.details]).toEqual([
    status.UNAUTHENTICATED,
    "The token is bound to another client certificate",
  ]);
  stranger.close();
});

test("a service lets nobody in but the gateway's authority vouches for", async () => {
  for (const { url } of [prices, stock]) {
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  }
});

test("one trace goes through gateway, stock, gateway and prices", async () => {
  spans.reset();
  const metadata = await withToken();
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  metadata.set("traceparent", `00-${traceId}-00f067aa0ba902b7-01`);
  expect((await reserve("coffee", metadata)).code).toBe(status.OK);
  await provider.forceFlush();
  const ours = spans.getFinishedSpans().filter((span) => span.spanContext().traceId === traceId);
  const byId = new Map(ours.map((span) => [span.spanContext().spanId, span.name]));
  const last = ours.find(({ name }) => name === "prices.quote");
  const path: string[] = [];
  for (let span = last; span !== undefined;) {
    path.unshift(span.name);
    const parent = span.parentSpanContext?.spanId ?? "";
    span = ours.find((each) => each.spanContext().spanId === parent);
  }
  expect(byId.size).toBeGreaterThanOrEqual(4);
  expect(path).toEqual([
    "POST /shop.v1.Stock/:method",
    "stock.reserve",
    "POST /shop.v1.Prices/*",
    "prices.quote",
  ]);
});

test("when prices is gone a few calls find out, and the next are refused at once", async () => {
  await prices.stop();
  for (let n = 0; n < 3; n++) {
    expect(await reserve("tea", await withToken())).toMatchObject({
      code: status.UNAVAILABLE,
      details: "There are no prices now",
    });
  }
  expect(toPrices.states).toMatchObject([{ state: "open", pending: 0 }]);
});
