import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";

import { counting, startCached, type CachedGateway } from "./cache-harness.ts";

let gateway: CachedGateway;
afterEach(() => gateway.stop());

const status = (answer: Response): string | null => answer.headers.get("cache-status");

test("what is fresh is answered without the upstream, with its age, and passes the stages", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=60" }));
  const first = await gateway.get("/a");
  expect(await first.text()).toBe("1");
  expect(status(first)).toBe("apiforge; fwd=uri-miss; fwd-status=200; stored");
  expect(first.headers.has("age")).toBe(false);
  gateway.cacheClock.advance(5_000);
  const second = await gateway.get("/a");
  expect(await second.text()).toBe("1");
  expect(status(second)).toBe("apiforge; hit; ttl=55");
  expect(second.headers.get("age")).toBe("5");
  expect(second.headers.get("content-length")).toBe("1");
  expect(second.headers.get("connection")).toBe("keep-alive");
  expect(second.headers.get("x-request-id")).not.toBe(first.headers.get("x-request-id"));
  gateway.cacheClock.advance(55_000);
  expect(await (await gateway.get("/a")).text()).toBe("2");
  expect(gateway.asked).toHaveLength(2);
});

test.each([
  ["no-store", { "cache-control": "max-age=60, no-store" }],
  ["private", { "cache-control": "max-age=60, private" }],
  ["a cookie", { "cache-control": "max-age=60, public", "set-cookie": "session=1" }],
  ["Vary: *", { "cache-control": "max-age=60", vary: "Accept, *" }],
  [
    "a field that each request has its own of",
    { "cache-control": "max-age=60", vary: "X-Request-Id" },
  ],
  ["nothing that lets it be kept", {}],
])("an answer with %s is not stored", async (_, headers) => {
  gateway = await startCached(counting(headers));
  expect(status(await gateway.get("/a"))).toBe("apiforge; fwd=uri-miss; fwd-status=200");
  expect(await (await gateway.get("/a")).text()).toBe("2");
});

test.each([["authorization"], ["x-api-key"], ["cookie"]])(
  "an answer to who sends %s, whom no stage knows, is stored only if it says so",
  async (name) => {
    gateway = await startCached(counting({ "cache-control": "max-age=60" }));
    const headers = { [name]: "me" };
    await gateway.get("/a", headers);
    expect(await (await gateway.get("/a")).text()).toBe("2");
    gateway.behave(counting({ "cache-control": "s-maxage=60" }));
    await gateway.get("/b", headers);
    expect(status(await gateway.get("/b"))).toBe("apiforge; hit; ttl=60");
  },
);

describe("of callers that the stages know", () => {
  async function withAuth(cacheControl: string): Promise<readonly string[]> {
    gateway = await startCached(counting({ "cache-control": cacheControl }), {
      proxy: { auth: "jwt" },
    });
    const bodies: string[] = [];
    const one = { authorization: await gateway.bearer({ subject: "one", tenant: "t1" }) };
    const other = { authorization: await gateway.bearer({ subject: "two", tenant: "t2" }) };
    for (const headers of [one, one, other, other, one]) {
      bodies.push(await (await gateway.get("/a", headers)).text());
    }
    expect((await gateway.get("/a")).status).toBe(401);
    return bodies;
  }

  test("each gets what was answered to himself", async () => {
    expect(await withAuth("max-age=60")).toEqual(["1", "1", "2", "2", "1"]);
  });

  test("all get what says public or s-maxage", async () => {
    expect(await withAuth("max-age=60, public")).toEqual(["1", "1", "1", "1", "1"]);
    await gateway.stop();
    expect(await withAuth("s-maxage=60")).toEqual(["1", "1", "1", "1", "1"]);
  });

  test("nobody gets again what says private", async () => {
    expect(await withAuth("max-age=60, private")).toEqual(["1", "2", "3", "4", "5"]);
  });
});

test("a caller whom the upstream may tell by a cookie gets no other's answer under one token", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=60" }), {
    proxy: { auth: "jwt" },
  });
  const authorization = await gateway.bearer();
  const ask = async (cookie: string): Promise<string> =>
    (await gateway.get("/a", { authorization, cookie })).text();
  expect(await ask("session=one")).toBe("1");
  expect(await ask("session=two")).toBe("2");
  expect(await ask("session=one")).toBe("1");
});

test("an answer to a request whose fields Connection took away is none to others that have them", async () => {
  gateway = await startCached((request, response) => {
    const language = request.headers["accept-language"] ?? "none";
    response
      .writeHead(200, { "cache-control": "max-age=60", vary: "Accept-Language" })
      .end(language);
  });
  const ask = async (connection: string) =>
    gateway.ask(
      `GET /a HTTP/1.1\r\nHost: a\r\nAccept-Language: de\r\nConnection: ${connection}\r\n\r\n`,
    );
  const taken = await ask("close, Accept-Language");
  expect(taken.body).toContain("none");
  expect(taken.head).toContain("cache-status: apiforge; fwd=bypass; fwd-status=200");
  expect((await ask("close, TE")).body).toContain("de");
  expect((await ask("close")).head).toContain("cache-status: apiforge; hit");
});

test("an answer that was made for one host is not given to another one's clients", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=60" }));
  const ask = (host: string) =>
    gateway.ask(`GET /a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  expect((await ask("good.example")).body).toBe("1");
  expect((await ask("evil.example")).body).toBe("2");
  expect((await ask("GOOD.example")).body).toBe("1");
});

test("a stale answer is asked about by its tag and its date, and given again with new fields", async () => {
  const modified = "Wed, 01 Jan 2020 00:00:00 GMT";
  gateway = await startCached((request, response) => {
    if (request.headers["if-none-match"] !== '"v1"') {
      response.writeHead(200, {
        "cache-control": "max-age=10",
        etag: '"v1"',
        "last-modified": modified,
        "content-type": "text/plain",
        "x-old": "1",
        "x-new": "1",
      });
      return void response.end("body");
    }
    response.writeHead(304, { "cache-control": "max-age=20", "x-new": "2", "content-type": "a/b" });
    response.end();
  });
  await gateway.get("/a");
  gateway.cacheClock.advance(11_000);
  const renewed = await gateway.get("/a", { "if-none-match": '"other"' });
  expect(renewed.status).toBe(200);
  expect(await renewed.text()).toBe("body");
  expect(status(renewed)).toBe("apiforge; fwd=stale; fwd-status=304; stored");
  expect(Object.fromEntries(renewed.headers)).toMatchObject({
    "x-old": "1",
    "x-new": "2",
    "cache-control": "max-age=20",
    "content-type": "text/plain",
    age: "0",
  });
  expect(gateway.asked[1]?.headers["if-modified-since"]).toBe(modified);
  gateway.cacheClock.advance(19_000);
  expect(status(await gateway.get("/a"))).toBe("apiforge; hit; ttl=1");
});

test("a 304 that means another answer is not taken for the stored one", async () => {
  let count = 0;
  gateway = await startCached((request, response) => {
    count += 1;
    if (request.headers["if-none-match"] === undefined) {
      response.writeHead(200, { "cache-control": "max-age=1", etag: `"v${count}"` });
      return void response.end(String(count));
    }
    response.writeHead(304, { etag: '"else"' }).end();
  });
  await gateway.get("/a");
  gateway.cacheClock.advance(2_000);
  expect(await (await gateway.get("/a")).text()).toBe("3");
});

test("conditions and ranges of clients are answered out of the whole that is stored", async () => {
  gateway = await startCached((_request, response) => {
    response.writeHead(200, {
      "cache-control": "max-age=60",
      etag: 'W/"1"',
      "content-type": "a/b",
    });
    response.end("0123456789");
  });
  await gateway.get("/a");
  const known = await gateway.get("/a", { "if-none-match": '"0", "1"' });
  expect([known.status, known.headers.get("etag"), known.headers.get("content-type")]).toEqual([
    304,
    'W/"1"',
    null,
  ]);
  const part = await gateway.get("/a", { range: "bytes=2-4" });
  expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([
    206,
    "bytes 2-4/10",
    "234",
  ]);
  expect(await (await gateway.get("/a", { range: "bytes=-3" })).text()).toBe("789");
  expect((await gateway.get("/a", { range: "bytes=10-" })).status).toBe(416);
  // A weak tag does not say that bytes are the same.
  expect((await gateway.get("/a", { range: "bytes=0-0", "if-range": 'W/"1"' })).status).toBe(200);
  expect((await gateway.get("/a", { range: "bytes=0-0, 2-3" })).status).toBe(200);
  const head = await fetch(`${gateway.url}/a`, { method: "HEAD" });
  expect([head.headers.get("content-length"), status(head)]).toEqual([
    "10",
    "apiforge; hit; ttl=60",
  ]);
  expect(gateway.asked).toHaveLength(1);
});

test("a range of what is not stored is the upstream's to answer, and is not stored", async () => {
  gateway = await startCached((request, response) => {
    expect(request.headers.range).toBe("bytes=0-0");
    response.writeHead(206, { "cache-control": "max-age=60", "content-range": "bytes 0-0/9" });
    response.end("0");
  });
  expect((await gateway.get("/a", { range: "bytes=0-0" })).status).toBe(206);
  expect((await gateway.get("/a", { range: "bytes=0-0" })).status).toBe(206);
  expect(gateway.asked).toHaveLength(2);
});

describe("a change", () => {
  async function changed(change: (path: string) => Promise<Response>): Promise<string> {
    await change("/a");
    return (await gateway.get("/a")).text();
  }

  test("that succeeds ends what is stored of its URL and of those that it names, of this origin alone", async () => {
    const count = counting({ "cache-control": "max-age=60" });
    gateway = await startCached((request, response) => {
      if (request.method === "GET") return count(request, response);
      response.writeHead(201, { location: "/b?x=1", "content-location": "http://other/c" }).end();
    });
    for (const path of ["/a", "/b?x=1", "/c"]) await gateway.get(path);
    expect(await changed((path) => fetch(gateway.url + path, { method: "POST" }))).toBe("4");
    expect(await (await gateway.get("/b?x=1")).text()).toBe("5");
    expect(await (await gateway.get("/c")).text()).toBe("3");
  });

  test("that is refused ends nothing", async () => {
    const count = counting({ "cache-control": "max-age=60" });
    gateway = await startCached((request, response) => {
      if (request.method === "GET") return count(request, response);
      response.writeHead(409).end();
    });
    await gateway.get("/a");
    expect(await changed((path) => fetch(gateway.url + path, { method: "PUT" }))).toBe("1");
  });

  test("keeps an answer that was under way from being stored", async () => {
    let finish = (): void => undefined;
    gateway = await startCached((request, response) => {
      if (request.method !== "GET") return void response.writeHead(204).end();
      response.writeHead(200, { "cache-control": "max-age=60" }).write("old");
      finish = () => void response.end();
    });
    const slow = await gateway.get("/a");
    await fetch(`${gateway.url}/a`, { method: "DELETE" });
    finish();
    expect(await slow.text()).toBe("old");
    gateway.behave(counting({ "cache-control": "max-age=60" }));
    expect(await (await gateway.get("/a")).text()).toBe("1");
  });
});

test.each([
  ["a body that breaks off", "Content-Length: 9\r\n\r\n123"],
  ["a body whose end is that of its connection", "\r\n123"],
  ["chunks that break off", "Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n"],
])("%s is not stored", async (_, rest) => {
  gateway = await startCached((request) => {
    request.socket.end(`HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${rest}`);
  });
  const bytes = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  expect((await gateway.ask(bytes)).body).toContain("123");
  expect(gateway.cache.store.count).toBe(0);
  expect((await gateway.ask(bytes)).body).toContain("123");
  expect(gateway.asked).toHaveLength(2);
});

test("a body that is too large is passed on whole and not stored, whether its length is known or not", async () => {
  const large = "x".repeat(50_000);
  gateway = await startCached(
    (request, response) => {
      const length = request.url === "/known" ? { "content-length": "50000" } : {};
      response.writeHead(200, { "cache-control": "max-age=60", ...length }).write("x");
      response.end(large.slice(1));
    },
    { cache: { maxBytes: 160_000, maxEntryBytes: 40_000 } },
  );
  for (const path of ["/known", "/unknown", "/known", "/unknown"]) {
    expect(await (await gateway.get(path)).text()).toBe(large);
  }
  expect(gateway.asked).toHaveLength(4);
  expect(gateway.cache.store.bytes).toBe(0);
});

test("only-if-cached is answered out of the cache or not at all", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=60" }));
  const only = { "cache-control": "only-if-cached" };
  const refused = await gateway.get("/a", only);
  expect([
    refused.status,
    ((await refused.json()) as { error: { code: string } }).error.code,
  ]).toEqual([504, "not_cached"]);
  await gateway.get("/a");
  expect(await (await gateway.get("/a", only)).text()).toBe("1");
});

test("no-store and no-cache of a request are heeded", async () => {
  gateway = await startCached(counting({ "cache-control": "max-age=60" }));
  await gateway.get("/a", { "cache-control": "no-store" });
  expect(gateway.cache.store.count).toBe(0);
  await gateway.get("/a");
  const anew = await gateway.get("/a", { "cache-control": "no-cache" });
  expect([await anew.text(), status(anew)]).toEqual([
    "3",
    "apiforge; fwd=request; fwd-status=200; stored",
  ]);
  expect(await (await gateway.get("/a")).text()).toBe("3");
});

test("what HEAD is answered renews the stored answer, or ends it", async () => {
  const fields = { "cache-control": "max-age=10", etag: '"1"' };
  gateway = await startCached(counting(fields));
  await gateway.get("/a");
  gateway.cacheClock.advance(11_000);
  gateway.behave((_request, response) => {
    response.writeHead(200, { ...fields, "content-length": "1", "x-new": "1" }).end();
  });
  await fetch(`${gateway.url}/a`, { method: "HEAD" });
  const renewed = await gateway.get("/a");
  expect([await renewed.text(), renewed.headers.get("x-new")]).toEqual(["1", "1"]);
  gateway.cacheClock.advance(11_000);
  gateway.behave((_request, response) => {
    response.writeHead(200, { ...fields, etag: '"2"' }).end();
  });
  await fetch(`${gateway.url}/a`, { method: "HEAD" });
  expect(gateway.cache.store.count).toBe(0);
});

test("tags are for the cache and reach no client", async () => {
  gateway = await startCached(
    counting({ "cache-control": "max-age=60", "cache-tag": "a, b", "surrogate-key": "b c" }),
  );
  for (const answer of [await gateway.get("/a"), await gateway.get("/a")]) {
    expect(answer.headers.has("cache-tag") || answer.headers.has("surrogate-key")).toBe(false);
  }
  expect([...gateway.cache.store.entries()].map(({ tags }) => tags)).toEqual([["a", "b", "c"]]);
});

test("of an answer that its route shapes, what leaves is stored", async () => {
  const replies = { 200: z.object({ id: z.string() }) };
  gateway = await startCached(
    (_request, response) => {
      response.writeHead(200, {
        "content-type": "application/json",
        "cache-control": "max-age=60",
        "cache-tag": "a",
        etag: 'W/"1"',
      });
      response.end('{"id":"1","secret":"2"}');
    },
    { proxy: { replies } },
  );
  const answers = [await gateway.get("/a"), await gateway.get("/a")];
  expect(answers.map((answer) => answer.headers.has("cache-tag"))).toEqual([false, false]);
  expect(answers.map(status)[1]).toBe("apiforge; hit; ttl=60");
  expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual([
    '{"id":"1"}',
    '{"id":"1"}',
  ]);
  gateway.cacheClock.advance(61_000);
  expect(await (await gateway.get("/a")).text()).toBe('{"id":"1"}');
  expect(gateway.asked[1]?.headers["if-none-match"]).toBeUndefined();
});
