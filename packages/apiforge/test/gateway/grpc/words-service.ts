import { once } from "node:events";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  anyPack,
  AnySchema,
  file_google_protobuf_wrappers,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  StringValueSchema,
  type StringValue,
} from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";

import { nothingSeen, type GrpcServer } from "./echo-service.ts";

const type = ".google.protobuf.StringValue";
const words = create(FileDescriptorProtoSchema, {
  name: "words.proto",
  package: "test.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "Words",
      method: [
        { name: "Say", inputType: type, outputType: type },
        { name: "Split", inputType: type, outputType: type, serverStreaming: true },
        { name: "Join", inputType: type, outputType: type, clientStreaming: true },
        {
          name: "Chat",
          inputType: type,
          outputType: type,
          clientStreaming: true,
          serverStreaming: true,
        },
      ],
    },
  ],
});

/** What a `.proto` file would declare. */
export const wordsService = describe();

type Text = typeof StringValueSchema;
type Words = GenService<{
  say: { methodKind: "unary"; input: Text; output: Text };
  split: { methodKind: "server_streaming"; input: Text; output: Text };
  join: { methodKind: "client_streaming"; input: Text; output: Text };
  chat: { methodKind: "bidi_streaming"; input: Text; output: Text };
}>;

function describe(): Words {
  const file = [file_google_protobuf_wrappers.proto, words];
  const service = createFileRegistry(create(FileDescriptorSetSchema, { file })).getService(
    "test.v1.Words",
  );
  if (service === undefined) throw new TypeError("There is no such service");
  return service as Words;
}

const wire = {
  requestSerialize: write,
  requestDeserialize: read,
  responseSerialize: write,
  responseDeserialize: read,
};

function write(message: StringValue): Buffer {
  return Buffer.from(toBinary(StringValueSchema, message));
}

function read(bytes: Uint8Array): StringValue {
  return fromBinary(StringValueSchema, bytes);
}

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return { path: `/test.v1.Words/${name}`, requestStream, responseStream, ...wire };
}

function word(value: string): StringValue {
  return create(StringValueSchema, { value });
}

/**
 * The service by another hand than its callers'. Of no word it says `NOT_FOUND` with a detail, to `wait` nothing; a
 * stream of letters ends at a `!` with `ABORTED`.
 */
export async function startWordsServer(): Promise<GrpcServer> {
  const server = new Server();
  const seen = nothingSeen();
  server.addService(
    {
      Say: method("Say", false, false),
      Split: method("Split", false, true),
      Join: method("Join", true, false),
      Chat: method("Chat", true, true),
    },
    {
      Say(call: ServerUnaryCall<StringValue, StringValue>, done: sendUnaryData<StringValue>) {
        const { value } = call.request;
        seen.metadata = call.metadata;
        const deadline = call.getDeadline();
        seen.deadlineAt = typeof deadline === "number" ? deadline : deadline.getTime();
        call.on("cancelled", () => (seen.cancelled += 1));
        if (value === "wait") return void (seen.waiting += 1);
        const head = new Metadata();
        head.set("x-head", "1");
        call.sendMetadata(head);
        const trailer = new Metadata();
        trailer.set("x-trailer", "2");
        if (value !== "") return done(null, word(`said ${value}`), trailer);
        trailer.set("grpc-status-details-bin", statusWith(word("detail")));
        done({ code: status.NOT_FOUND, details: "no word ü", metadata: trailer });
      },
      Split(call: ServerWritableStream<StringValue, StringValue>) {
        call.on("cancelled", () => (seen.cancelled += 1));
        const trailer = new Metadata();
        trailer.set("x-trailer", "2");
        for (const letter of call.request.value) {
          if (letter !== "!") call.write(word(letter));
          else return void call.emit("error", { code: status.ABORTED, metadata: trailer });
        }
        call.end(trailer);
      },
      Join(call: ServerReadableStream<StringValue, StringValue>, done: sendUnaryData<StringValue>) {
        let joined = "";
        call.on("data", ({ value }: StringValue) => (joined += value));
        call.on("end", () => done(null, word(joined)));
      },
      Chat(call: ServerDuplexStream<StringValue, StringValue>) {
        call.on("data", ({ value }: StringValue) => call.write(word(`re: ${value}`)));
        call.on("end", () => call.end());
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { target: `127.0.0.1:${port}`, seen, kill: () => server.forceShutdown() };
}

/** `google.rpc.Status` with one detail, as another hand than ours writes it. */
function statusWith(detail: StringValue): Buffer {
  const any = toBinary(AnySchema, anyPack(StringValueSchema, detail));
  const writer = new BinaryWriter().uint32(8).int32(status.NOT_FOUND);
  writer.uint32(18).string("no word ü");
  return Buffer.from(writer.uint32(26).bytes(any).finish());
}

/** The same service as one that takes JSON too, by gRPC alone. */
export async function startWordsOfJson(): Promise<Pick<GrpcServer, "target" | "kill">> {
  const answer = connectNodeAdapter({
    connect: false,
    grpcWeb: false,
    routes: (router) =>
      router.service(wordsService, {
        say({ value }: StringValue) {
          if (value !== "") return word(`said ${value}`);
          throw new ConnectError("no word ü", Code.NotFound, { "x-trailer": "2" }, [
            { desc: StringValueSchema, value: { value: "detail" } },
          ]);
        },
        async *split({ value }: StringValue) {
          yield* value.split("").map(word);
        },
        async join(words: AsyncIterable<StringValue>) {
          return word((await Array.fromAsync(words, ({ value }) => value)).join(""));
        },
        async *chat(words: AsyncIterable<StringValue>) {
          for await (const { value } of words) yield word(`re: ${value}`);
        },
      }),
  });
  const server = createServer(answer);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    target: `127.0.0.1:${port}`,
    kill() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}
