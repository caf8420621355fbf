import { once } from "node:events";
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";

import { defineRoute } from "../../src/edge/index.ts";
import { isPlain, normalTarget } from "../../src/edge/guard/target.ts";
import { startHarness, type Harness } from "./edge-harness.ts";
import { rawExchange } from "./raw-exchange.ts";

// Answers at once: Node hands a request on before it has found that it cannot read the body.
const seen = z.object({ path: z.string(), item: z.string(), headers: z.array(z.string()) });
const reading = defineRoute({
  method: "GET",
  path: "/items/:item",
  auth: "none",
  headers: z.looseObject({}),
  replies: { 200: seen },
  handler: ({ params, headers, request }) => ({
    status: 200,
    body: {
      path: (request as unknown as { url: string }).url,
      item: params.item,
      headers: Object.keys(headers),
    },
  }),
});
const writing = defineRoute({
  method: "POST",
  path: "/items",
  auth: "none",
  body: z.object({}),
  replies: { 200: z.object({ ok: z.boolean() }) },
  handler: () => ({ status: 200, body: { ok: true } }),
});

let harness: Harness;
let port: number;
beforeAll(async () => {
  harness = await startHarness([reading, writing]);
  port = await listen(harness);
});
afterAll(() => harness.stop());

async function listen({ edge }: Harness): Promise<number> {
  const { url } = await edge.listen({ port: 0, host: "127.0.0.1" });
  return Number(new URL(url).port);
}

function statuses(received: string): number[] {
  return [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status));
}

const get = "GET /items/a HTTP/1.1\r\nHost: a\r\n";
const post = "POST /items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
const chunkedBody = "2\r\n{}\r\n0\r\n\r\n";

const smuggled: readonly [string, string][] = [
  [
    "a length and chunks",
    `${post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBody}`,
  ],
  ["two lengths", `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `],
  ["a list of lengths", `${post}Content-Length: 2, 2\r\n\r\n{}`],
  ["a length with a sign", `${post}Content-Length: +2\r\n\r\n{}`],
  ["a length in hexadecimal", `${post}Content-Length: 0x2\r\n\r\n{}`],
  [
    "two codings",
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBody}`,
  ],
  ["chunked, identity", `${post}Transfer-Encoding: chunked, identity\r\n\r\n${chunkedBody}`],
  ["gzip, chunked", `${post}Transfer-Encoding: gzip, chunked\r\n\r\n${chunkedBody}`],
  ["gzip", `${post}Transfer-Encoding: gzip\r\n\r\n${chunkedBody}`],
  ["xchunked", `${post}Transfer-Encoding: xchunked\r\n\r\n${chunkedBody}`],
  ["xchunked on a GET", `${get}Transfer-Encoding: xchunked\r\n\r\n${chunkedBody}`],
  [
    "chunked and a space of another charset",
    `${post}Transfer-Encoding: chunked\xa0\r\n\r\n${chunkedBody}`,
  ],
  [
    "a coding with HTTP/1.0",
    `POST /items HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunkedBody}`,
  ],
  ["a folded header", `${get}X: a\r\n b\r\n\r\n`],
  ["a space before the colon", `${get}X : a\r\n\r\n`],
  ["NUL in a header", `${get}X: a\0b\r\n\r\n`],
  ["a bare CR in a header", `${get}X: a\rb\r\n\r\n`],
  ["lines that end in LF", "GET /items/a HTTP/1.1\nHost: a\n\n"],
  [
    "a chunk size in C's hexadecimal",
    `${post}Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n`,
  ],
  ["a chunk without its CRLF", `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n`],
  ["two Hosts", `${get}Host: b\r\n\r\n`],
  ["two Hosts that are equal", `${get}host: a\r\n\r\n`],
  ["a Host with a path and a user", "GET /items/a HTTP/1.1\r\nHost: a/b@c\r\n\r\n"],
  ["a list of Hosts", "GET /items/a HTTP/1.1\r\nHost: a b\r\n\r\n"],
  ["no Host", "GET /items/a HTTP/1.1\r\n\r\n"],
  ["an absolute target of another host", "GET http://evil/items/a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a fragment", "GET /items/a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a GET with a body", `${get}Content-Length: 2\r\n\r\n{}`],
  ["a HEAD with a body", "HEAD /items/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"],
  ["a GET with chunks", `${get}Transfer-Encoding: chunked\r\n\r\n${chunkedBody}`],
  ["an escaped slash", "GET /items/a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an escaped backslash", "GET /items/a%5cb HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a backslash", "GET /items\\a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["dot segments", "GET /items/../items/a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["escaped dot segments", "GET /x/%2e%2E/items/a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a dot segment with a parameter", "GET /x/..;/items/a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a dot segment at the end", "GET /items/.. HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an empty segment", "GET //items/a HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["NUL in the path", "GET /items/a%00 HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["a line break in the path", "GET /items/a%0d%0ab HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an overlong slash", "GET /items/a%c0%af HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["an escape in an escape", "GET /items/a%252fb HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["raw bytes in the path", "GET /items/\xe4 HTTP/1.1\r\nHost: a\r\n\r\n"],
];

test.each(smuggled)(
  "%s is refused with 400 and nothing else, and the connection closed",
  async (_name, bytes) => {
    const received = await rawExchange(port, bytes);
    expect(statuses(received)).toEqual([400]);
    expect(received).toMatch(/^connection: close\r$/im);
    expect(received).toMatch(/"code":"(?:malformed_request|invalid_url)"|^[^{]*$/);
  },
);

test("a request behind a refused one is not answered", async () => {
  expect(statuses(await rawExchange(port, `${get}Content-Length: 2\r\n\r\n{}${get}\r\n`))).toEqual([
    400,
  ]);
});

test.each([
  ["more than 100 headers", `${get}${"X: a\r\n".repeat(100)}\r\n`, 431, "headers_too_large"],
  [
    "more than 8 KiB of URL",
    `GET /items/${"a".repeat(8_200)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
    "uri_too_long",
  ],
  [
    "more than 16 KiB of headers",
    `${get}X: ${"a".repeat(17_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
])("%s are refused", async (_name, bytes, status, code) => {
  const received = await rawExchange(port, bytes);
  expect(statuses(received)).toEqual([status]);
  expect(received).toContain(`"code":"${code}"`);
});

async function read(head: string): Promise<z.infer<typeof seen>> {
  const received = await rawExchange(port, `${head}Connection: close\r\n\r\n`);
  expect(statuses(received)).toEqual([200]);
  return seen.parse(JSON.parse(received.split("\r\n\r\n")[1] ?? ""));
}

test("a path is one string to router and handler, whatever was escaped", async () => {
  const { path, item } = await read("GET /%69tems/%7ea%c3%a4?q=%61 HTTP/1.1\r\nHost: a\r\n");
  expect([path, item]).toEqual(["/items/~a%C3%A4?q=%61", "~aä"]);
});

test("an absolute target of the same host is its path", async () => {
  expect((await read("GET http://A/items/b HTTP/1.1\r\nHost: a\r\n")).path).toBe("/items/b");
});

test.each(["a:8080", "[::1]:80", "xn--a.example", ""])("the Host %j is fine", async (host) => {
  expect((await read(`GET /items/b HTTP/1.1\r\nHost: ${host}\r\n`)).item).toBe("b");
});

test("headers with an underscore, and the offer of HTTP/2, do not get in", async () => {
  const { headers } = await read(
    `${get}Content_Length: 5\r\nX_User: root\r\nX-User: me\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n`,
  );
  expect(headers).toEqual(["host", "x-user", "connection"]);
});

describe("laws of the target", () => {
  const piece = fc.constantFrom(
    ..."/ . .. ; %2e %2F %41 %c3%a4 %25 a B ~ // ? # % \\ : @ http://a ä %00 %7E %252e".split(" "),
  );
  const target = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join("")}`);

  test("the normal form is its own normal form, and decodes to the same path", () => {
    fc.assert(
      fc.property(target, (given) => {
        const url = normalTarget(given)?.url;
        if (url === undefined) return;
        expect(normalTarget(url)).toEqual({ url, authority: undefined });
        const path = (of: string) => decodeURIComponent(of.split("?")[0] ?? "");
        expect(path(url)).toBe(path(given));
      }),
    );
  });

  test("decoding it once more changes no separator, and leaves no dot segment", () => {
    fc.assert(
      fc.property(target, (given) => {
        const [path] = normalTarget(given)?.url.split("?") ?? [];
        if (path === undefined) return;
        const decoded = decodeURIComponent(path);
        expect(decoded.split("/")).toHaveLength(path.split("/").length);
        expect(decoded.split(/[/;]/)).not.toContain("..");
        expect(decoded).not.toMatch(/[\0\\#]|\/\//);
      }),
      { examples: [["/;.."]] },
    );
  });

  test("what passes the short test is its own normal form by the long one", () => {
    fc.assert(
      fc.property(target, (given) => {
        if (isPlain(given)) expect(normalTarget(`http://a${given}`)?.url).toBe(given);
      }),
    );
  });
});

describe("connections and bodies that take too much", () => {
  let own: Harness | undefined;
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await own?.stop();
    own = undefined;
  });

  async function open(on: number): Promise<Socket> {
    const socket = connect(on, "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }

  test("one connection too many from an address is told so and closed; a closed one makes room", async () => {
    own = await startHarness([reading], { maxConnectionsPerAddress: 2 });
    const on = await listen(own);
    const first = await open(on);
    const second = await open(on);
    second.write(`${get}\r\n`);
    await once(second, "data");

    const third = await open(on);
    const [bytes] = await once(third, "data");
    expect(String(bytes)).toMatch(
      /^HTTP\/1\.1 429 [\s\S]*retry-after: 1[\s\S]*"too_many_connections"/i,
    );
    await once(third.resume(), "close");

    first.end();
    await once(first.resume(), "close");
    // The server learns of the end before it sees the next connection, or answers 429 once more.
    await expect
      .poll(async () => {
        const next = await open(on);
        next.write(`${get}\r\n`);
        const [answer] = await once(next, "data");
        return String(answer).slice(9, 12);
      })
      .toBe("200");
  });

  test.each([
    ["that stops", "", 1],
    ["that trickles", "x", 4],
  ])("a body %s is refused with 408", async (_name, trickle, steps) => {
    own = await startHarness([writing]);
    const socket = await open(await listen(own));
    socket.write(`${post}Content-Length: 100\r\nExpect: 100-continue\r\n\r\n`);
    // The stages have run when Node asks for the body.
    await once(socket, "data");
    let received = "";
    socket.on("data", (bytes: Buffer) => (received += String(bytes)));
    for (let step = 0; step < steps; step++) {
      if (trickle !== "") socket.write(trickle);
      own.clock.advance(15_000 / steps);
    }
    await once(socket, "close");
    expect(statuses(received)).toEqual([408]);
  });
});
