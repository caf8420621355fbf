/* oxlint-disable no-underscore-dangle -- Node's own names. */
import { once } from "node:events";
import { createServer, IncomingMessage, ServerResponse, type Server } from "node:http";
import { connect, type AddressInfo, Socket } from "node:net";
import { Duplex } from "node:stream";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";

import { edgeResponse, EdgeResponse } from "../../src/edge/edge-response.ts";
import { HeadLines } from "../../src/edge/head-lines.ts";

/** A request and what answers it. */
interface Case {
  readonly method: string;
  readonly minor: 0 | 1;
  /** What Node's parser found of the connection. */
  readonly staysOpen: boolean;
  readonly expectsContinue: boolean;
  readonly keepAliveTimeout: number;
  readonly maxRequestsPerSocket: number;
  readonly status: number;
  readonly head: readonly (readonly [string, string])[];
  readonly body: string;
}

/** What a response writes, its date aside; or the code of what it throws. */
function sent(response: ServerResponse, given: Case): string {
  let bytes = "";
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.toString("latin1");
      done();
    },
  });
  Object.assign(response, {
    shouldKeepAlive: given.staysOpen,
    _keepAliveTimeout: given.keepAliveTimeout,
    _maxRequestsPerSocket: given.maxRequestsPerSocket,
    _expect_continue: given.expectsContinue,
  });
  response.assignSocket(socket as Socket);
  const flat = given.head.flat();
  flat.push("content-length", String(Buffer.byteLength(given.body)));
  try {
    response.writeHead(given.status, flat);
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
  response.end(given.body);
  const { _last: isLast, _contentLength: length } = response as unknown as Record<string, unknown>;
  return `${bytes.replace(/^Date: .*$/m, "Date")} ${String(isLast)} ${String(length)}`;
}

function requestOf({ method, minor }: Case): IncomingMessage {
  return Object.assign(new IncomingMessage(new Socket()), {
    method,
    httpVersionMajor: 1,
    httpVersionMinor: minor,
  });
}

function sentByUs(given: Case, lines: HeadLines): string {
  const response = new EdgeResponse(requestOf(given));
  response.lines = lines;
  return sent(response, given);
}

function sentByNode(given: Case): string {
  return sent(new ServerResponse(requestOf(given)), given);
}

const names = fc.constantFrom(
  ...["x-request-id", "vary", "cache-control", "content-type", "set-cookie", "x-a", "x-b"],
  ...["connection", "date", "keep-alive", "trailer", "transfer-encoding", "content-length"],
  ...["content-disposition", "expect", "X-Upper", "not a name", ""],
);
const values = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("a", "b", "close", "chunked", "keep-alive", "1") },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constantFrom("a\r\nx: y", "\0", "\n", "é", "€", "\u007f", "\t", "") },
);
/** Heads of the same names. */
function alike(...usualNames: string[]) {
  return fc.tuple(...usualNames.map((name) => values.map((value) => [name, value] as const)));
}

const heads = fc.oneof(
  { weight: 3, arbitrary: alike("x-request-id", "x-a", "vary", "content-type") },
  { weight: 2, arbitrary: alike("date", "x-a", "etag", "via", "content-type") },
  { weight: 1, arbitrary: fc.array(fc.tuple(names, values), { maxLength: 5 }) },
);
const cases: fc.Arbitrary<Case> = fc.record({
  method: fc.constantFrom("GET", "GET", "POST", "HEAD"),
  minor: fc.constantFrom(1, 1, 1, 0),
  staysOpen: fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, fc.constant(false)),
  expectsContinue: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.constant(true)),
  keepAliveTimeout: fc.constantFrom(72_000, 72_000, 5_500, 0),
  maxRequestsPerSocket: fc.constantFrom(0, 0, 0, 7),
  status: fc.constantFrom(200, 200, 200, 201, 204, 304, 404, 500, 299),
  head: heads,
  body: fc.constantFrom("{}", '{"a":"é€"}', "x"),
});

test("answers of one route have the bytes that Node would write, whatever they are and in whatever order", () => {
  fc.assert(
    fc.property(fc.array(cases, { minLength: 1, maxLength: 30 }), (answers) => {
      const lines = new HeadLines();
      expect(answers.map((answer) => sentByUs(answer, lines))).toEqual(answers.map(sentByNode));
    }),
    { numRuns: 500 },
  );
});

const usual: Case = {
  method: "GET",
  minor: 1,
  staysOpen: true,
  expectsContinue: false,
  keepAliveTimeout: 72_000,
  maxRequestsPerSocket: 0,
  status: 200,
  head: [
    ["x-request-id", "1"],
    ["content-type", "text/plain"],
  ],
  body: "hello",
};

test.each(["\r\nx: y", "\n", "\r", "\0", "\u007f", "€", "é\u0100"])(
  "a value with %j is refused before and after its place has changed",
  (evil) => {
    const lines = new HeadLines();
    const withId = (id: string): Case => ({
      ...usual,
      head: [["x-request-id", id], ...usual.head.slice(1)],
    });
    expect(sentByUs(withId(evil), lines)).toBe("ERR_INVALID_CHAR");
    for (const id of ["1", "2", "3"])
      expect(sentByUs(withId(id), lines)).toContain(`x-request-id: ${id}\r\n`);
    expect(sentByUs(withId(`4${evil}`), lines)).toBe("ERR_INVALID_CHAR");
    expect(sentByUs(withId("5"), lines)).toContain("x-request-id: 5\r\n");
  },
);

test("lines are known once they were written, and known again after others in between", () => {
  const lines = new HeadLines();
  const head = (...parts: string[]): string[] => [...parts, "content-length", "2"];
  expect(lines.textOf(head("a", "1"))).toBe("a: 1\r\ncontent-length: 2\r\n");
  expect(lines.textOf(head("a", "2"))).toBe("a: 2\r\ncontent-length: 2\r\n");
  // One of another kind is not learned, and takes nothing away.
  expect(lines.textOf(head("b", "1"))).toBeUndefined();
  expect(lines.textOf(head("a", "3"))).toBe("a: 3\r\ncontent-length: 2\r\n");
  // Where nothing else comes any more, it is.
  const learned = Array.from({ length: 9 }, () => lines.textOf(head("b", "1", "c", "1")));
  expect(learned.at(-1)).toBe("b: 1\r\nc: 1\r\ncontent-length: 2\r\n");
});

test.each([
  { what: "a name that Node decides by", head: ["connection", "close", "content-length", "2"] },
  { what: "two lengths", head: ["content-length", "2", "content-length", "2"] },
  { what: "no length", head: ["a", "1"] },
  { what: "a name in upper case", head: ["A", "1", "content-length", "2"] },
  { what: "nothing", head: [] },
])("a head with $what is left to Node", ({ head }) => {
  expect(new HeadLines().textOf(head)).toBeUndefined();
});

test("this Node is the one that it was made for", () => {
  expect(edgeResponse()).toBe(EdgeResponse);
});

const { writeHead } = ServerResponse.prototype;
let server: Server | undefined;
afterEach(() => {
  ServerResponse.prototype.writeHead = writeHead;
  server?.close();
  server = undefined;
});

test.each([
  {
    what: "notes more than it did",
    change(this: ServerResponse) {
      Object.assign(this, { _linesWritten: EdgeResponse.prototype.isPrototypeOf(this) ? 0 : 3 });
    },
  },
  {
    what: "writes another head",
    change(this: ServerResponse & { _header?: string | undefined }) {
      if (!(this instanceof EdgeResponse)) this._header = this._header?.replace(": ", ":");
    },
  },
])("a Node that $what is left to itself", ({ change }) => {
  ServerResponse.prototype.writeHead = function changed(this: ServerResponse, ...given: never[]) {
    Reflect.apply(writeHead, this, given);
    Reflect.apply(change, this, []);
    return this;
  };
  expect(edgeResponse()).toBe(ServerResponse);
});

test("over a socket: requests in one packet, a HEAD, and the last one of a connection", async () => {
  const lines = new HeadLines();
  server = createServer(
    { ServerResponse: edgeResponse(), keepAliveTimeout: 72_000 },
    (request, response) => {
      if (response instanceof EdgeResponse) response.lines = lines;
      response.writeHead(200, ["x-path", request.url ?? "", "content-length", "2"]);
      response.end("ok", "latin1");
    },
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
  socket.write(`${get("/1")}${get("/2")}HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n${get("/4")}`);
  socket.write(get("/5", "Connection: close\r\n"));
  let received = "";
  socket.on("data", (chunk) => (received += String(chunk)));
  await once(socket, "close");
  const answer = (path: string, end: string, body: string): string =>
    `HTTP/1.1 200 OK\r\nx-path: ${path}\r\ncontent-length: 2\r\nDate\r\n${end}\r\n${body}`;
  const stays = "Connection: keep-alive\r\nKeep-Alive: timeout=72\r\n";
  expect(received.replaceAll(/^Date: .*$/gm, "Date")).toBe(
    answer("/1", stays, "ok") +
      answer("/2", stays, "ok") +
      answer("/3", stays, "") +
      answer("/4", stays, "ok") +
      answer("/5", "Connection: close\r\n", "ok"),
  );
});
