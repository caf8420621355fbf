import { once } from "node:events";
import {
  createServer as createHttp2,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Authority } from "@apiforge/testing/certificates";
import { turns, until } from "@apiforge/testing";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import fc from "fast-check";
import { HealthImplementation } from "grpc-health-check";
import { afterEach, describe, expect, test } from "vitest";

import type { UpstreamOptions } from "../../../src/gateway/index.ts";
import { healthQuestion, saysServing } from "../../../src/gateway/grpc/health-message.ts";
import { startGrpcGateway, type GrpcGateway } from "./grpc-harness.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const intervalMs = 1_000;
const service = "test.v1.Echo";

/** A server of gRPC by another hand than ours, with its own health service, if any. */
async function serving(
  health: HealthImplementation | undefined,
  credentials = ServerCredentials.createInsecure(),
): Promise<string> {
  const server = new Server();
  health?.addToServer(server);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", credentials, (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  const port = await promise;
  closing.push(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

interface Checked extends GrpcGateway {
  /** Lets the next question come, and waits until its answer is taken in. */
  round(): Promise<void>;
}

async function gatewayTo(
  endpoints: readonly string[],
  { about = service, ...options }: Partial<UpstreamOptions> & { readonly about?: string } = {},
): Promise<Checked> {
  let learned = 0;
  const random = (): number => {
    learned += 1;
    return 0.5;
  };
  const health = { service: about, intervalMs, timeoutMs: 500, failures: 2, successes: 2, random };
  const gateway = await startGrpcGateway(endpoints, { upstreamOptions: { health, ...options } });
  closing.push(() => gateway.stop());
  await until("all are asked once", () => learned === endpoints.length);
  return {
    ...gateway,
    async round() {
      const before = learned;
      gateway.upstreamClock.advance(intervalMs);
      await until("all are asked again", () => learned === before + endpoints.length);
    },
  };
}

const wellOf = ({ behind }: GrpcGateway) => behind.states.map(({ isWell }) => isWell);

describe("health of an upstream of gRPC", () => {
  test("is what grpc.health.v1 says of its service", async () => {
    const health = new HealthImplementation({ "": "SERVING", [service]: "SERVING" });
    const gateway = await gatewayTo([`http://${await serving(health)}`]);
    await gateway.round();
    expect(wellOf(gateway)).toEqual([true]);
    health.setStatus(service, "NOT_SERVING");
    await gateway.round();
    expect(wellOf(gateway)).toEqual([true]);
    await gateway.round();
    expect(wellOf(gateway)).toEqual([false]);
    health.setStatus(service, "SERVING");
    await gateway.round();
    await gateway.round();
    expect(wellOf(gateway)).toEqual([true]);
  });

  test("can be that of a whole server", async () => {
    const health = new HealthImplementation({ "": "NOT_SERVING", [service]: "SERVING" });
    const gateway = await gatewayTo([`http://${await serving(health)}`], { about: "" });
    await gateway.round();
    expect(wellOf(gateway)).toEqual([false]);
  });

  test.each([
    ["does not know the service", new HealthImplementation({ "": "SERVING" })],
    ["does not know the protocol", undefined],
  ])("is bad of a server that %s", async (_name, health) => {
    const gateway = await gatewayTo([`http://${await serving(health)}`]);
    await gateway.round();
    expect(wellOf(gateway)).toEqual([false]);
  });

  test("is bad where nobody listens, and found out again", async () => {
    const health = new HealthImplementation({ [service]: "SERVING" });
    const gateway = await gatewayTo([`http://${await serving(health)}`, "http://127.0.0.1:9"]);
    await gateway.round();
    expect(wellOf(gateway)).toEqual([true, false]);
  });

  test("is asked over TLS, by the authority and certificate of the upstream", async () => {
    const authority = await Authority.create("Health");
    const [own, ofGateway] = await Promise.all([
      authority.issue("server", { usage: "any" }),
      authority.issue("gateway", { usage: "client" }),
    ]);
    const pair = { private_key: Buffer.from(own.key), cert_chain: Buffer.from(own.cert) };
    const secure = ServerCredentials.createSsl(Buffer.from(authority.cert), [pair], true);
    const health = new HealthImplementation({ [service]: "SERVING" });
    const endpoint = `https://${await serving(health, secure)}`;
    const { key, cert } = ofGateway;
    const known = await gatewayTo([endpoint], { ca: authority.cert, certificate: { key, cert } });
    await known.round();
    expect(wellOf(known)).toEqual([true]);
    const stranger = await gatewayTo([endpoint], { ca: authority.cert });
    await stranger.round();
    expect(wellOf(stranger)).toEqual([false]);
  });

  test("is asked over one connection, until that is gone", async () => {
    const sessions: ServerHttp2Session[] = [];
    let answer = (stream: ServerHttp2Stream): void => {
      stream.respond({ ":status": 200 }, { waitForTrailers: true });
      stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, 1]));
    };
    const asked: unknown[] = [];
    const server = createHttp2().listen(0, "127.0.0.1");
    server.on("session", (session) => sessions.push(session));
    server.on("stream", (stream: ServerHttp2Stream, headers) => {
      asked.push(headers[":path"], headers["grpc-timeout"]);
      stream.on("error", () => undefined);
      answer(stream);
    });
    await once(server, "listening");
    closing.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const gateway = await gatewayTo([`http://127.0.0.1:${port}/base`]);
    await gateway.round();
    expect([sessions.length, wellOf(gateway)]).toEqual([1, [true]]);
    expect(asked.slice(0, 2)).toEqual(["/base/grpc.health.v1.Health/Check", "500m"]);
    sessions[0]?.close();
    await until("it is asked over another one", async () => {
      await gateway.round();
      return sessions.length === 2;
    });
    expect(wellOf(gateway)).toEqual([true]);
    // Silence counts as an answer when its time is over, and so does the connection for lost.
    answer = () => undefined;
    for (const round of [1, 2]) {
      const before = asked.length;
      gateway.upstreamClock.advance(intervalMs);
      await until("it is asked", () => asked.length > before);
      gateway.upstreamClock.advance(500);
      await until("it is given up", () => sessions[round]?.destroyed === true);
      await turns(20);
    }
    expect(wellOf(gateway)).toEqual([false]);
  });

  test("is asked no more when the server stops", async () => {
    const health = new HealthImplementation({ [service]: "SERVING" });
    const gateway = await gatewayTo([`http://${await serving(health)}`]);
    await gateway.edge.close();
    health.setStatus(service, "NOT_SERVING");
    gateway.upstreamClock.advance(10 * intervalMs);
    await turns(20);
    expect(wellOf(gateway)).toEqual([true]);
  });
});

describe("messages of grpc.health.v1", () => {
  test.each([
    ["SERVING", [0, 0, 0, 0, 2, 0x08, 1], true],
    ["SERVING with a field of a later version", [0, 0, 0, 0, 4, 0x10, 9, 0x08, 1], true],
    ["NOT_SERVING", [0, 0, 0, 0, 2, 0x08, 2], false],
    ["nothing, which is UNKNOWN", [0, 0, 0, 0, 0], false],
    ["a compressed message", [1, 0, 0, 0, 2, 0x08, 1], false],
    ["a message that is cut off", [0, 0, 0, 0, 2, 0x08], false],
    ["a number without an end", [0, 0, 0, 0, 2, 0x08, 0x81], false],
    ["no message", [], false],
  ])("%s", (_name, bytes, isServing) => {
    expect(saysServing(Buffer.from(bytes))).toBe(isServing);
  });

  test("no bytes make the reader throw", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(typeof saysServing(Buffer.from(bytes))).toBe("boolean");
      }),
    );
  });

  test("a question is as long as it says, whatever the name", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (name) => {
        const question = healthQuestion(name);
        expect(question.readUInt32BE(1)).toBe(question.length - 5);
        expect(question.subarray(question.length - Buffer.byteLength(name)).toString()).toBe(name);
      }),
    );
  });
});
