import { ownName } from "@apiforge/testing/certificates";
import { credentials, type Client, type Metadata, type ServiceError } from "@grpc/grpc-js";

import type { EdgeOptions } from "../../../src/edge/index.ts";
import {
  defineGrpc,
  upstream,
  type GrpcOptions,
  type Upstream,
  type UpstreamOptions,
} from "../../../src/gateway/index.ts";
import { ManualClock } from "../../edge/edge-harness.ts";
import { startTls, type TlsHarness } from "../../edge/http2/http2-harness.ts";
import { EchoClient } from "./echo-service.ts";

/** A gateway whose `test.v1.Echo` leads to `endpoints`. */
export interface GrpcGateway extends TlsHarness {
  readonly behind: Upstream;
  readonly upstreamClock: ManualClock;
  client(): EchoCalls & Client;
}

export interface Called {
  readonly code: number;
  readonly details: string;
  readonly value: string | undefined;
  readonly head: Metadata | undefined;
  readonly trailer: Metadata | undefined;
}

/** Methods of the client that is made of the service's definition. */
export type EchoCalls = Readonly<Record<string, (...given: never[]) => never>>;

export async function startGrpcGateway(
  endpoints: readonly string[],
  options: {
    readonly grpc?: Partial<GrpcOptions>;
    readonly upstreamOptions?: Partial<UpstreamOptions>;
    readonly edge?: Partial<EdgeOptions>;
  } = {},
): Promise<GrpcGateway> {
  const upstreamClock = new ManualClock();
  const behind = upstream({
    name: "echo",
    endpoints,
    clock: upstreamClock,
    ...options.upstreamOptions,
  });
  const routes = defineGrpc({
    service: "test.v1.Echo",
    auth: "none",
    upstream: behind,
    ...options.grpc,
  });
  const harness = await startTls(routes, options.edge);
  return {
    ...harness,
    behind,
    upstreamClock,
    client() {
      const trusting = credentials.createSsl(Buffer.from(harness.root.cert));
      const client: unknown = new EchoClient(`127.0.0.1:${harness.port}`, trusting, {
        "grpc.ssl_target_name_override": ownName,
      });
      return client as EchoCalls & Client;
    },
  };
}

/** Begins a call of a method that streams. */
export function startCall<Call>(
  client: EchoCalls & Client,
  name: string,
  ...given: readonly unknown[]
): Call {
  const call: unknown = Reflect.apply(client[name] ?? missing, client, given);
  return call as Call;
}

/** Calls a method with one message each way. */
export function callUnary(
  client: EchoCalls & Client,
  name: string,
  message: string,
  metadata?: Metadata,
): Promise<Called> {
  const { promise, resolve } = Promise.withResolvers<Called>();
  let [head, trailer]: (Metadata | undefined)[] = [];
  let [error, value]: [ServiceError | null, string | undefined] = [null, undefined];
  const given = metadata === undefined ? [message] : [message, metadata];
  const done = (failure: ServiceError | null, answer?: string): void => {
    [error, value] = [failure, answer];
  };
  const call = startCall<{ on(event: string, listener: (given: never) => void): void }>(
    client,
    name,
    ...given,
    done,
  );
  call.on("metadata", (fields: Metadata) => (head = fields));
  call.on("status", ({ code, details, metadata: fields }: Status) => {
    trailer = fields;
    // The callback comes in the same turn.
    setImmediate(() => resolve({ code: error?.code ?? code, details, value, head, trailer }));
  });
  return promise;
}

interface Status {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

function missing(): never {
  throw new TypeError("The service has no such method");
}
