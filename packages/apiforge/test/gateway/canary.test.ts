import { until } from "@apiforge/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import {
  defineProxy,
  responseCache,
  upstream,
  type ProxyOptions,
  type Upstream,
} from "../../src/gateway/index.ts";
import { Canaries } from "../../src/gateway/canary.ts";
import { startHarness, type Harness } from "../edge/edge-harness.ts";
import { startRawUpstream, type RawUpstream } from "./gateway-harness.ts";

const names = ["stable", "next", "third"] as const;
type Name = (typeof names)[number];

let servers: Record<Name, RawUpstream>;
const harnesses: Harness[] = [];

beforeAll(async () => {
  const started = names.map(async (name) => {
    const body = `${name}\n`;
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    return [name, await startRawUpstream((socket) => void socket.write(answer))] as const;
  });
  servers = Object.fromEntries(await Promise.all(started)) as Record<Name, RawUpstream>;
});
afterAll(async () => {
  for (const harness of harnesses) await harness.stop();
  for (const name of names) await servers[name].close();
});

function behind(name: Name): Upstream {
  return upstream({ name, endpoints: [servers[name].url] });
}

interface Gateway {
  readonly harness: Harness;
  readonly url: string;
  /** Which upstream answered. */
  ask(headers?: Readonly<Record<string, string>>): Promise<string>;
}

async function gateway(options: Partial<ProxyOptions>): Promise<Gateway> {
  const proxy = { path: "/*", auth: "none", upstream: behind("stable"), ...options } as const;
  const harness = await startHarness(defineProxy(proxy));
  harnesses.push(harness);
  const { url } = await harness.edge.listen({ port: 0, host: "127.0.0.1" });
  return {
    harness,
    url,
    async ask(headers = {}) {
      return (await (await fetch(url, { headers })).text()).trim();
    },
  };
}

async function counts(asked: Promise<string>[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const name of await Promise.all(asked)) found[name] = (found[name] ?? 0) + 1;
  return found;
}

describe("canaries", () => {
  test("do not go together with a cache", () => {
    const canaries = [{ upstream: behind("next"), share: 0.05 }];
    const cache = responseCache({});
    expect(() => defineProxy({ path: "/*", upstream: behind("stable"), canaries, cache })).toThrow(
      "a cache would give one caller's canary to all others",
    );
  });

  test("get their shares of the requests, and the route's own upstream the rest", async () => {
    const { ask } = await gateway({
      canaries: [
        { upstream: behind("next"), share: 0.05 },
        { upstream: behind("third"), share: 0.2 },
      ],
    });
    const {
      stable = 0,
      next = 0,
      third = 0,
    } = await counts(Array.from({ length: 400 }, () => ask()));
    expect(Math.abs(next - 20)).toBeLessThanOrEqual(2);
    expect(Math.abs(third - 80)).toBeLessThanOrEqual(2);
    expect(stable + next + third).toBe(400);
  });

  test("get whoever asks for them by a field or a cookie, with a share or without", async () => {
    const { ask } = await gateway({
      canaries: [
        { upstream: behind("next"), header: { name: "X-Canary", value: "next" } },
        { upstream: behind("third"), cookie: { name: "canary", value: "3" } },
      ],
    });
    expect(await ask()).toBe("stable");
    expect(await ask({ "x-canary": "next" })).toBe("next");
    expect(await ask({ "x-canary": "other" })).toBe("stable");
    expect(await ask({ cookie: "a=1; canary=3" })).toBe("third");
    expect(await ask({ cookie: "xcanary=3; canary=33" })).toBe("stable");
  });

  test("keep a principal, and not all of them", async () => {
    const { harness, ask } = await gateway({
      auth: "jwt",
      stickyBy: "principal",
      canaries: [{ upstream: behind("next"), share: 0.5 }],
    });
    const found = new Set<string>();
    for (let subject = 0; subject < 24; subject += 1) {
      const authorization = await harness.bearer({ subject: `usr_${subject}` });
      const asked = await counts(Array.from({ length: 4 }, () => ask({ authorization })));
      expect(Object.values(asked)).toEqual([4]);
      for (const name of Object.keys(asked)) found.add(name);
    }
    expect([...found].toSorted()).toEqual(["next", "stable"]);
  });

  test("keep a client", async () => {
    const { ask } = await gateway({
      stickyBy: "client",
      canaries: [{ upstream: behind("next"), share: 0.5 }],
    });
    const asked = await counts(Array.from({ length: 20 }, () => ask()));
    expect(Object.values(asked)).toEqual([20]);
  });

  test("lose nobody when their share grows", () => {
    const [own, next] = [behind("stable"), behind("next")];
    const exchangeOf = (subject: string) => ({ headers: {}, subject });
    fc.assert(
      fc.property(
        fc.string(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (subject, a, b) => {
          const [small, large] = a < b ? [a, b] : [b, a];
          const chosenBy = (share: number) => {
            const canaries = new Canaries(own, [{ upstream: next, share }], () => subject);
            return canaries.choose(exchangeOf(subject) as never);
          };
          if (chosenBy(small) === next) expect(chosenBy(large)).toBe(next);
          expect(chosenBy(1)).toBe(next);
          expect(chosenBy(0)).toBe(own);
        },
      ),
    );
  });

  test("get no share while they are down, but those who ask for them are told", async () => {
    const gone = await startRawUpstream(() => undefined);
    await gone.close();
    const dead = upstream({
      name: "dead",
      endpoints: [gone.url],
      retry: { attempts: 1 },
      breaker: { failures: 1 },
    });
    const { ask, url } = await gateway({
      canaries: [{ upstream: dead, share: 1, header: { name: "x-canary", value: "1" } }],
    });
    expect((await fetch(url)).status).toBe(502);
    expect(await ask()).toBe("stable");
    expect((await fetch(url, { headers: { "x-canary": "1" } })).status).toBe(503);
  });

  test.for([-0.1, 1.1, Number.NaN])("cannot have a share of %f", (share) => {
    const canaries = [{ upstream: behind("next"), share }];
    expect(() => defineProxy({ path: "/*", upstream: behind("stable"), canaries })).toThrow(
      "shares",
    );
  });
});

describe("a shadow", () => {
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

  test("gets a marked copy of what the upstream gets, and nobody sees its answer", async () => {
    const copied = await startRawUpstream((socket) => void socket.write(head));
    const { url } = await gateway({
      shadow: { upstream: upstream({ name: "shadow", endpoints: [`${copied.url}/base`] }) },
      transformRequest: () => ({ set: { "x-own": "1" } }),
    });
    const answer = await fetch(`${url}/a?b=1`, {
      method: "POST",
      body: "content",
      headers: { "x-shadow-request": "mine" },
    });
    expect(await answer.text()).toBe("stable\n");
    await until("the copy has come", () => copied.received.join("").endsWith("content"));
    const text = copied.received.join("");
    expect(text).toMatch(/^POST \/base\/a\?b=1 HTTP/);
    expect(text.match(/^x-shadow-request: .*$/gim)).toEqual(["x-shadow-request: true"]);
    expect(text).toMatch(/^x-own: 1\r$/m);
    await copied.close();
  });

  test.for([
    ["is not there", undefined],
    ["breaks off", (socket: { destroy(): void }) => socket.destroy()],
    ["answers nothing", () => undefined],
    [
      "answers with an error",
      (socket: { write(text: string): void }) =>
        socket.write("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"),
    ],
    ["speaks no HTTP", (socket: { write(text: string): void }) => socket.write("nonsense\r\n\r\n")],
  ] as const)("that %s changes nothing", async ([, script]) => {
    const copied = await startRawUpstream(script ?? (() => undefined));
    if (script === undefined) await copied.close();
    const shadow = { upstream: upstream({ name: "shadow", endpoints: [copied.url] }) };
    const { ask } = await gateway({ shadow });
    for (const _ of [1, 2, 3]) expect(await ask()).toBe("stable");
    if (script !== undefined) await copied.close();
  });

  test("gets no more at a time than it may, and its share", async () => {
    const copied = await startRawUpstream(() => undefined);
    const behindShadow = upstream({ name: "shadow", endpoints: [copied.url] });
    const { ask } = await gateway({ shadow: { upstream: behindShadow, maxPending: 3 } });
    await Promise.all(Array.from({ length: 20 }, () => ask()));
    expect(behindShadow.states[0]?.pending).toBe(3);
    await copied.close();
    await until("the copies have ended", () => behindShadow.states[0]?.pending === 0);

    const counted = await startRawUpstream((socket) => void socket.write(head));
    const half = upstream({ name: "half", endpoints: [counted.url] });
    const sharing = await gateway({ shadow: { upstream: half, share: 0.5 } });
    for (let asked = 0; asked < 20; asked += 1) await sharing.ask();
    await until("the copies have ended", () => half.states[0]?.pending === 0);
    const copies = counted.received.join("").match(/^GET /gm)?.length ?? 0;
    expect(Math.abs(copies - 10)).toBeLessThanOrEqual(1);
    await counted.close();
  });

  test("gets no body that streams", async () => {
    const copied = await startRawUpstream((socket) => void socket.write(head));
    const behindShadow = upstream({ name: "shadow", endpoints: [copied.url] });
    const { url, ask } = await gateway({ shadow: { upstream: behindShadow } });
    await (await fetch(url, { method: "POST", body: "x".repeat(70_000) })).text();
    await ask();
    await until("the second copy has come", () => copied.received.join("").includes("GET / "));
    expect(copied.received.join("")).not.toContain("POST");
    await copied.close();
  });

  test("cannot have a share of 2", () => {
    const shadow = { upstream: behind("next"), share: 2 };
    expect(() => defineProxy({ path: "/*", upstream: behind("stable"), shadow })).toThrow("share");
  });
});
