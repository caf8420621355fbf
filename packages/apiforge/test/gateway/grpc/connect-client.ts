import { create } from "@bufbuild/protobuf";
import { StringValueSchema, type StringValue } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient, type Client } from "@connectrpc/connect";
import { compressionGzip, createConnectTransport } from "@connectrpc/connect-node";

import type { GrpcGateway } from "./grpc-harness.ts";
import { wordsService } from "./words-service.ts";

export type WordsClient = Client<typeof wordsService>;

export interface ClientOptions {
  /** Default 2. */
  readonly httpVersion?: "1.1" | "2";
  /** Default true. */
  readonly useBinaryFormat?: boolean;
  readonly compresses?: boolean;
}

/** A caller by Connect's own protocol. */
export function connectClient({ port, root }: GrpcGateway, options: ClientOptions): WordsClient {
  const { httpVersion = "2", useBinaryFormat = true, compresses = false } = options;
  const common = {
    baseUrl: `https://127.0.0.1:${port}`,
    useBinaryFormat,
    nodeOptions: { ca: root.cert },
    compressMinBytes: 10,
    acceptCompression: compresses ? [compressionGzip] : [],
    ...(compresses ? { sendCompression: compressionGzip } : {}),
  };
  const transport =
    httpVersion === "2"
      ? createConnectTransport({ httpVersion, ...common })
      : createConnectTransport({ httpVersion, ...common });
  return createClient(wordsService, transport);
}

export function word(value: string): StringValue {
  return create(StringValueSchema, { value });
}

/** The error that `call` ends with. */
export function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => Promise.reject(new Error("It went well")),
    (reason: unknown) => ConnectError.from(reason),
  );
}

/** What a stream brings. */
export async function valuesOf(stream: AsyncIterable<StringValue>): Promise<string[]> {
  return Array.fromAsync(stream, ({ value }) => value);
}
