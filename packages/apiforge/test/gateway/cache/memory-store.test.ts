import fc from "fast-check";
import { expect, test } from "vitest";

import { bytesOf, type Entry } from "../../../src/gateway/cache/entry.ts";
import { MemoryStore } from "../../../src/gateway/cache/memory-store.ts";

const freshness = {
  bornAt: 0,
  lifetimeMs: 1_000,
  isExplicit: true,
  alwaysValidate: false,
  mayBeAskedStale: true,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
};

function entry(path: string, rest: Partial<Entry> = {}): Entry {
  return {
    url: `http://host${path}`,
    caller: undefined,
    selection: [],
    status: 200,
    headers: [],
    body: Buffer.alloc(0),
    freshness,
    receivedAt: 0,
    tags: [],
    epoch: 0,
    ...rest,
  };
}

type Command =
  | { readonly put: number; readonly bytes: number; readonly tag: number }
  | { readonly find: number }
  | { readonly invalidate: number }
  | { readonly purge: number };

const small = fc.integer({ min: 0, max: 5 });
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ put: small, bytes: fc.integer({ min: 0, max: 2_000 }), tag: small }),
  fc.record({ find: small }),
  fc.record({ invalidate: small }),
  fc.record({ purge: small }),
);

test("it holds what was used last, within its bytes, whatever is done to it", () => {
  const maxBytes = 6_000;
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const store = new MemoryStore(maxBytes, maxBytes);
      // The most recently used last.
      let model: Entry[] = [];
      for (const it of commands) {
        if ("put" in it) {
          const tags = [`t${it.tag}`];
          const next = entry(`/${it.put}`, { body: Buffer.alloc(it.bytes), tags });
          store.put(next);
          model = [...model.filter(({ url }) => url !== next.url), next];
          while (model.reduce((sum, kept) => sum + bytesOf(kept), 0) > maxBytes) model.shift();
        } else if ("find" in it) {
          const url = `http://host/${it.find}`;
          const expected = model.find((kept) => kept.url === url);
          expect(store.find(url, undefined, [])).toBe(expected);
          if (expected) model = [...model.filter((kept) => kept !== expected), expected];
        } else if ("invalidate" in it) {
          store.invalidate(`http://host/${it.invalidate}`);
          model = model.filter(({ url }) => url !== `http://host/${it.invalidate}`);
        } else {
          store.purge({ tag: `t${it.purge}` }, 1);
          model = model.filter(({ tags }) => !tags.includes(`t${it.purge}`));
        }
        expect([...store.entries()]).toEqual(model);
        expect(store.bytes).toBe(model.reduce((sum, kept) => sum + bytesOf(kept), 0));
      }
    }),
  );
});

test("what clients read counts until they have it, and no more is held than there is room", () => {
  const maxBytes = 400_000;
  const path = fc.integer({ min: 0, max: 5 });
  const action = fc.constantFrom("put", "lend", "give back", "renew", "invalidate", "purge");
  const bytes = fc.integer({ min: 65_537, max: 120_000 });
  fc.assert(
    fc.property(fc.array(fc.record({ action, path, bytes }), { maxLength: 80 }), (steps) => {
      const store = new MemoryStore(maxBytes, maxBytes);
      const reading: { readonly body: Buffer; readonly giveBack: (() => void) | undefined }[] = [];
      for (const step of steps) {
        const url = `http://host/${step.path}`;
        const found = store.find(url, undefined, []);
        if (step.action === "put") {
          store.put(entry(`/${step.path}`, { body: Buffer.alloc(step.bytes), tags: ["t"] }));
        } else if (step.action === "lend" && found !== undefined) {
          reading.push({ body: found.body, giveBack: store.lend(found) });
        } else if (step.action === "give back") reading.shift()?.giveBack?.();
        else if (step.action === "renew" && found !== undefined) store.put({ ...found, epoch: 1 });
        else if (step.action === "invalidate") store.invalidate(url);
        else if (step.action === "purge") store.purge({ tag: "t" }, 2);
        const bodies = [...store.entries()].map(({ body }) => body);
        const held = new Set([...bodies, ...reading.map(({ body }) => body)]);
        const heldBytes = [...held].reduce((sum, { length }) => sum + length, 0);
        expect(store.bytes).toBeGreaterThanOrEqual(heldBytes);
        expect(store.bytes).toBeLessThanOrEqual(maxBytes);
      }
      for (const { giveBack } of reading) giveBack?.();
      store.purge({ all: true }, 3);
      expect(store.bytes).toBe(0);
    }),
  );
});

test("short bodies are lent to nobody", () => {
  const store = new MemoryStore(1_000_000, 1_000_000);
  expect(store.lend(entry("/x", { body: Buffer.alloc(65_536) }))).toBeUndefined();
  expect(store.lend(entry("/x", { body: Buffer.alloc(65_537) }))).toBeDefined();
});

test("an answer for one caller is given to no other", () => {
  const who = fc.constantFrom(undefined, "a", "b", "c");
  fc.assert(
    fc.property(fc.array(who), who, (callers, asks) => {
      const store = new MemoryStore(1_000_000, 1_000_000);
      for (const caller of callers) store.put(entry("/x", { caller }));
      const found = store.find("http://host/x", asks, []);
      if (found !== undefined) expect([undefined, asks]).toContain(found.caller);
      expect(found !== undefined).toBe(callers.includes(undefined) || callers.includes(asks));
    }),
  );
});

test("a purge takes what was asked for before it, by tag, by the path's beginning, or all", () => {
  const store = new MemoryStore(1_000_000, 1_000_000);
  store.put(entry("/a/1", { tags: ["x"] }));
  store.put(entry("/a/2", { tags: ["x"], epoch: 7 }));
  store.put(entry("/b/1"));
  store.purge({ tag: "x" }, 7);
  expect([...store.entries()].map(({ url }) => url)).toEqual([
    "http://host/a/2",
    "http://host/b/1",
  ]);
  store.purge({ prefix: "/b" }, 8);
  expect([...store.entries()].map(({ url }) => url)).toEqual(["http://host/a/2"]);
  store.purge({ all: true }, 8);
  expect(store.count).toBe(0);
});

test("of one URL only so many answers are kept that Vary tells apart", () => {
  const store = new MemoryStore(10_000_000, 10_000_000);
  for (let index = 0; index < 1_000; index += 1) {
    store.put(entry("/x", { selection: [["accept", String(index)]] }));
  }
  expect(store.count).toBe(32);
  expect(store.find("http://host/x", undefined, ["accept", "999"])).toBeDefined();
});
