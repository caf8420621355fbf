import {
  makeGenericClientConstructor,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";

/** Messages are text; what gRPC carries is bytes. */
const text = {
  requestSerialize: (value: string) => Buffer.from(value),
  requestDeserialize: String,
  responseSerialize: (value: string) => Buffer.from(value),
  responseDeserialize: String,
};

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return { path: `/test.v1.Echo/${name}`, requestStream, responseStream, ...text };
}

/** A service with a method of each kind. */
const echoService = {
  Say: method("Say", false, false),
  Split: method("Split", false, true),
  Join: method("Join", true, false),
  Chat: method("Chat", true, true),
  Fail: method("Fail", false, false),
  Wait: method("Wait", false, false),
} satisfies ServiceDefinition;

export const EchoClient = makeGenericClientConstructor(echoService, "Echo");

/** A server of gRPC by another hand than ours, and what it has seen. */
export interface GrpcServer {
  readonly target: string;
  readonly seen: {
    metadata: Metadata;
    /** Epoch milliseconds; undefined without one. */
    deadlineAt: number | undefined;
    cancelled: number;
    waiting: number;
  };
  /** Ends every connection at once. */
  kill(): void;
}

/** Of a server that nobody has called. */
export function nothingSeen(): GrpcServer["seen"] {
  return { metadata: new Metadata(), deadlineAt: undefined, cancelled: 0, waiting: 0 };
}

export async function startEchoServer(
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<GrpcServer> {
  const seen = nothingSeen();
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  server.addService(echoService, {
    Say(call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) {
      seen.metadata = call.metadata;
      const deadline = call.getDeadline();
      seen.deadlineAt = typeof deadline === "number" ? deadline : deadline.getTime();
      const head = new Metadata();
      head.set("x-head", "1");
      call.sendMetadata(head);
      const trailer = new Metadata();
      trailer.set("x-trailer", "2");
      done(null, `said ${call.request}`, trailer);
    },
    Split(call: ServerWritableStream<string, string>) {
      for (const letter of call.request) call.write(letter);
      if (call.request.endsWith("!")) setImmediate(() => server.forceShutdown());
      else call.end();
    },
    Join(call: ServerReadableStream<string, string>, done: sendUnaryData<string>) {
      let joined = "";
      call.on("data", (piece: string) => (joined += piece));
      call.on("end", () => done(null, joined));
    },
    Chat(call: ServerDuplexStream<string, string>) {
      call.on("data", (piece: string) => call.write(`re: ${piece}`));
      call.on("end", () => call.end());
    },
    Fail(_call: ServerUnaryCall<string, string>, done: sendUnaryData<string>) {
      done({ code: status.FAILED_PRECONDITION, details: "no: 100 % ü" });
    },
    Wait(call: ServerUnaryCall<string, string>) {
      seen.waiting += 1;
      call.on("cancelled", () => (seen.cancelled += 1));
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { target: `127.0.0.1:${port}`, seen, kill: () => server.forceShutdown() };
}
