import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StringValueSchema, type Int32Value, type StringValue } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  Server,
  ServerCredentials,
  status,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
} from "@grpc/grpc-js";

import type { Identity, RunningService } from "./identity.ts";
import type { ServiceTokens } from "./service-tokens.ts";
import { pricesService } from "./shop-proto.ts";
import { served, traceHeaders } from "./spans.ts";

/** What the stock needs of others. */
export interface StockOptions {
  readonly identity: Identity;
  readonly tokens: Pick<ServiceTokens, "bearer">;
  /** Known when the gateway listens. */
  readonly gatewayUrl: () => string;
}

type Quote = (
  sku: StringValue,
  options: { headers: Record<string, string> },
) => Promise<Int32Value>;

/** How `shop.v1.Stock` is written, for clients and servers of gRPC. */
export const stockService = {
  Reserve: {
    path: "/shop.v1.Stock/Reserve",
    requestStream: false,
    responseStream: false,
    requestSerialize: write,
    requestDeserialize: read,
    responseSerialize: write,
    responseDeserialize: read,
  },
} as const;

const ofMetadata = {
  keys: (metadata: Metadata) => Object.keys(metadata.getMap()),
  get: (metadata: Metadata, name: string) => metadata.get(name).map(String),
};

/** The service that reserves articles. It speaks gRPC, and asks the prices through the gateway like anybody else. */
export async function startStock({
  identity,
  tokens,
  gatewayUrl,
}: StockOptions): Promise<RunningService> {
  const { key, cert, ca } = identity;
  let quote: Quote | undefined;

  async function reserve(sku: StringValue): Promise<StringValue> {
    quote ??= priceClient(gatewayUrl(), identity);
    const headers = { ...traceHeaders(), authorization: await tokens.bearer() };
    const price = await quote(sku, { headers });
    return create(StringValueSchema, { value: `${sku.value} for ${price.value} cents` });
  }

  const server = new Server();
  server.addService(stockService, {
    Reserve(
      { metadata, request }: ServerUnaryCall<StringValue, StringValue>,
      done: sendUnaryData<StringValue>,
    ) {
      served("stock.reserve", metadata, ofMetadata, () => reserve(request)).then(
        (receipt) => done(null, receipt),
        (error: unknown) => done(refusal(error)),
      );
    },
  });
  const own = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  const credentials = ServerCredentials.createSsl(Buffer.from(ca), [own], true);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  return {
    url: `https://127.0.0.1:${await promise}`,
    async stop() {
      server.forceShutdown();
    },
  };
}

/** Connect over HTTP/2, with the certificate that the service's tokens are bound to. */
function priceClient(baseUrl: string, { key, cert, ca }: Identity): Quote {
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "2",
    nodeOptions: { key, cert, ca },
  });
  return createClient(pricesService, transport).quote;
}

function refusal(error: unknown) {
  const { code, rawMessage } = ConnectError.from(error);
  const isUnknownArticle = code === Code.NotFound;
  return {
    code: isUnknownArticle ? status.NOT_FOUND : status.UNAVAILABLE,
    details: isUnknownArticle ? rawMessage : "There are no prices now",
  };
}

function write(message: StringValue): Buffer {
  return Buffer.from(toBinary(StringValueSchema, message));
}

function read(bytes: Uint8Array): StringValue {
  return fromBinary(StringValueSchema, bytes);
}
