import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  file_google_protobuf_wrappers,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  StringValueSchema,
  type StringValue,
} from "@bufbuild/protobuf/wkt";
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";

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

/** The service by another hand than its callers'. */
export async function startWordsServer(): Promise<{ readonly target: string; kill(): void }> {
  const server = new Server();
  const path = (name: string): string => `/test.v1.Words/${name}`;
  server.addService(
    {
      Say: { path: path("Say"), requestStream: false, responseStream: false, ...wire },
      Split: { path: path("Split"), requestStream: false, responseStream: true, ...wire },
    },
    {
      Say(call: ServerUnaryCall<StringValue, StringValue>, done: sendUnaryData<StringValue>) {
        const { value } = call.request;
        if (value === "") return done({ code: status.NOT_FOUND, details: "no word ü" });
        done(null, create(StringValueSchema, { value: `said ${value}` }));
      },
      Split(call: ServerWritableStream<StringValue, StringValue>) {
        for (const value of call.request.value) call.write(create(StringValueSchema, { value }));
        call.end();
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { target: `127.0.0.1:${port}`, kill: () => server.forceShutdown() };
}
