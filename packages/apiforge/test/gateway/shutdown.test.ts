import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawnServer, until } from "@apiforge/testing";
import { expect, test } from "vitest";

import { startRawUpstream } from "./gateway-harness.ts";

const entry = fileURLToPath(new URL("./servers/gateway-server.ts", import.meta.url));

test("on SIGTERM what an upstream is at work on ends first, then its connections, then the process", async () => {
  const waiting: (() => void)[] = [];
  const upstream = await startRawUpstream((socket, request) => {
    const answer = (): void =>
      void socket.write(
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 2\r\n\r\nok",
      );
    if (request.startsWith("GET /slow ")) waiting.push(answer);
    else answer();
  });
  const dataDir = await mkdtemp(join(tmpdir(), "gateway-"));
  await using server = await spawnServer({
    entry,
    env: { UPSTREAM_URL: upstream.url, APIFORGE_DATA_DIR: dataDir, APIFORGE_PORT: "0" },
  });
  expect((await fetch(`${server.url}/quick`)).status).toBe(200);
  const slow = fetch(`${server.url}/slow`);
  await until("the upstream is at work", () => waiting.length === 1);
  const stopped = server.stop();
  await server.waitForLine(/^stopping$/);
  waiting[0]?.();
  const answer = await slow;
  expect([answer.status, await answer.text()]).toEqual([200, "ok"]);
  await stopped;
  await until("its connections are closed", () => upstream.sockets.size === 0);
  await upstream.close();
  await rm(dataDir, { recursive: true });
});
