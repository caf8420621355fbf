import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { spawnServer, until } from "@apiforge/testing";
import { Pool } from "undici";
import { expect, onTestFinished, test } from "vitest";

import { cliEntry } from "../app/declarative/cli-run.ts";

const lanes = 32;
const changes = 24;
const requestsPerChange = 250;

/** An upstream that answers its path, in pieces where the path says so. */
async function startUpstream(): Promise<string> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    if (!path.startsWith("/pieces")) return void response.end(path);
    response.write(path.slice(0, 3));
    setImmediate(() => response.end(path.slice(3)));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The `number`th configuration: routes, limits and upstreams come and go; each seventh cannot be served. */
function configuration(number: number, upstream: string): object {
  if (number % 7 === 6) return { upstreams: {}, routs: [] };
  const stays = { endpoints: [upstream] };
  const changes = { endpoints: [upstream], connections: 16 + number };
  return {
    upstreams: { stays, changes },
    defaults: { auth: "none" },
    limits: { everywhere: [{ name: "all", limit: 1_000_000 + number, per: "1h" }] },
    routes: [
      { path: "/plain/*", upstream: number % 2 === 0 ? "stays" : "changes" },
      { path: "/pieces/*", upstream: "changes" },
      ...(number % 3 === 0 ? [{ path: "/extra", upstream: "stays" }] : []),
    ],
  };
}

test(
  "a gateway whose file changes all the time under load loses no request",
  { timeout: 180_000 },
  async () => {
    const upstream = await startUpstream();
    const folder = await mkdtemp(join(tmpdir(), "gateway-reload-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, "apiforge.config.json");
    const write = async (number: number): Promise<void> => {
      await writeFile(`${file}.new`, JSON.stringify(configuration(number, upstream)));
      await rename(`${file}.new`, file);
    };
    await write(0);
    const server = await spawnServer({
      entry: cliEntry,
      args: ["start"],
      cwd: folder,
      env: { PORT: "0", APIFORGE_LOG_LEVEL: "silent" },
    });
    onTestFinished(() => server.kill9());
    const pool = new Pool(server.url, { connections: lanes });
    onTestFinished(() => pool.destroy());

    const failures: string[] = [];
    let answered = 0;
    const over = new AbortController();
    async function lane(name: number): Promise<void> {
      for (let turn = 0; !over.signal.aborted; turn += 1) {
        const path = `/${turn % 4 === 0 ? "pieces" : "plain"}/${name}-${turn}`;
        try {
          const method = turn % 5 === 0 ? "POST" : "GET";
          const body = method === "POST" ? "x".repeat(100) : null;
          const { statusCode, body: answer } = await pool.request({ path, method, body });
          const text = await answer.text();
          if (statusCode !== 200 || text !== path) failures.push(`${statusCode} ${text}`);
        } catch (error) {
          failures.push(String(error));
        }
        answered += 1;
      }
    }
    const running = Array.from({ length: lanes }, (_, name) => lane(name));
    const refusals = (): number => server.stderr().match(/2 problems/g)?.length ?? 0;
    let revision = 1;
    for (let number = 1; number <= changes; number += 1) {
      const wanted = answered + requestsPerChange;
      const isBroken = number % 7 === 6;
      if (!isBroken) revision += 1;
      const refused = Math.floor((number + 1) / 7);
      await write(number);
      if (isBroken) await until("the refusal", () => refusals() === refused);
      else await server.waitForLine(new RegExp(`revision ${revision}-`));
      await until("answers by it", () => answered >= wanted);
    }
    over.abort();
    await Promise.all(running);
    expect(failures).toEqual([]);
    expect(revision).toBe(22);
    expect(answered).toBeGreaterThanOrEqual(changes * requestsPerChange);
    await server.stop();
  },
);
