import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";

import { createForge, type Forge } from "../../../src/app/index.ts";
import {
  defineProxy,
  responseCache,
  upstream,
  type ResponseCache,
} from "../../../src/gateway/index.ts";
import { silentLog } from "../../../src/kernel/index.ts";

let dataDir: string;
let behind: Server;
let asked = 0;
let forge: Forge | undefined;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), "apiforge-cache-"));
  asked = 0;
  behind = createServer((request, response) => {
    asked += 1;
    response.writeHead(200, {
      "cache-control": "max-age=600",
      "cache-tag": request.url?.slice(1) ?? "",
      vary: "Accept, X-Absent",
    });
    response.end(Buffer.from([0, 255, asked]));
  }).listen(0, "127.0.0.1");
  await once(behind, "listening");
});
afterEach(async () => {
  await forge?.stop();
  forge = undefined;
  behind.closeAllConnections();
  behind.close();
  rmSync(dataDir, { recursive: true });
});

/** A process with a cache that knows nothing yet. */
async function start(): Promise<{
  readonly url: string;
  readonly cache: ResponseCache;
  readonly forge: Forge;
}> {
  const endpoints = [`http://127.0.0.1:${(behind.address() as AddressInfo).port}`];
  const cache = responseCache();
  const routes = defineProxy({
    path: "/*",
    auth: "none",
    upstream: upstream({ name: "behind", endpoints }),
    cache,
  });
  const config = { dataDir, port: 0, host: "127.0.0.1", jobConcurrency: 0 } as const;
  forge = await createForge({ routes }, { config, log: silentLog });
  return { url: (await forge.listen()).url, cache, forge };
}

async function lastByte(url: string): Promise<number | undefined> {
  const { port, pathname } = new URL(url);
  // Its port is another one after a restart, and the host is a part of what is asked for.
  const request = get({ host: "127.0.0.1", port, path: pathname, headers: { host: "api" } });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const bytes = await buffer(answer);
  expect([...bytes.subarray(0, 2)]).toEqual([0, 255]);
  return bytes[2];
}

test("a process that ended in order leaves its answers to the next one", async () => {
  const first = await start();
  expect(await lastByte(`${first.url}/a`)).toBe(1);
  await first.forge.stop();
  const [file = ""] = readdirSync(dataDir).filter((name) => name.startsWith("cache-"));
  expect(file).toBe("cache-responses.db");
  expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  const second = await start();
  expect(await lastByte(`${second.url}/a`)).toBe(1);
  expect(asked).toBe(1);
  // From here on it may change: a process that is killed must not leave what it was.
  expect(readdirSync(dataDir).filter((name) => name.startsWith("cache-"))).toEqual([]);
});

test("what was purged by the last commit of a process does not come back with the next one", async () => {
  const first = await start();
  await lastByte(`${first.url}/a`);
  await lastByte(`${first.url}/b`);
  await first.forge.durable.transact("change", { tenant: "t", requestId: "r" }, (tx) =>
    first.cache.purge(tx, { tag: "a" }),
  );
  await first.forge.stop();
  const second = await start();
  expect(await lastByte(`${second.url}/b`)).toBe(2);
  expect(await lastByte(`${second.url}/a`)).toBe(3);
});

test("a file that cannot be read keeps no server from its start", async () => {
  writeFileSync(join(dataDir, "cache-responses.db"), "no database");
  const { url } = await start();
  expect(await lastByte(`${url}/a`)).toBe(1);
});
