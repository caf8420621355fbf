import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

import { defineProxy, responseCache, upstream } from "apiforge";

import { suiteFolder } from "./folder.ts";
import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

type Kind = "required" | "optimal" | "check";

/** One test as the suite declares it. */
interface SuiteTest {
  readonly id: string;
  /** Default `required`. */
  readonly kind?: Kind;
  readonly browser_only?: boolean;
  readonly cdn_only?: boolean;
}

/** True, or the kind of failure and what was seen. */
type Result = true | readonly [kind: string, seen: string];

/**
 * The suite's own origin and client as they are, with a gateway between them that has a cache. The tests that are for
 * browsers or CDNs only are not counted, and neither are its checks, which ask what a cache does, not what it should.
 */
export async function runCacheTests(): Promise<readonly SuiteScore[]> {
  const folder = suiteFolder("cache-tests", "github.com/http-tests/cache-tests");
  const port = await freePort();
  const origin = startOrigin(folder, port);
  try {
    await answering(port);
    const behind = upstream({
      name: "origin",
      endpoints: [`http://localhost:${port}`],
      // A 503 that is asked for again is one more request than a test counts.
      retry: { attempts: 1 },
      // Many tests have the origin fail.
      breaker: { failures: 1_000 },
    });
    const routes = defineProxy({
      path: "/*",
      auth: "none",
      upstream: behind,
      cache: responseCache(),
    });
    await using server = await serve(routes);
    return await scoresOf(folder, await resultsOf(folder, server.url));
  } finally {
    origin.kill();
  }
}

function startOrigin(folder: string, port: number): ChildProcess {
  const pidFile = join(folder, "..", `cache-tests-${port}.pid`);
  return spawn(process.execPath, ["test-engine/server/server.mjs"], {
    cwd: folder,
    env: {
      ...process.env,
      npm_config_protocol: "http",
      npm_config_port: String(port),
      npm_config_pidfile: pidFile,
    },
    stdio: "ignore",
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function answering(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      await fetch(`http://localhost:${port}/state/none`);
      return;
    } catch {
      await new Promise((resolve) => void setTimeout(resolve, 100));
    }
  }
  throw new Error("The origin of cache-tests does not answer");
}

async function resultsOf(folder: string, base: string): Promise<Readonly<Record<string, Result>>> {
  const undici = import.meta.resolve("./own-undici.ts");
  const child = spawn(process.execPath, ["--import", undici, "test-engine/cli.mjs"], {
    cwd: folder,
    env: { ...process.env, npm_config_base: base, npm_config_id: "", npm_package_config_id: "" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed = await text(child.stdout);
  return JSON.parse(printed.slice(printed.indexOf("{"))) as Record<string, Result>;
}

async function scoresOf(
  folder: string,
  results: Readonly<Record<string, Result>>,
): Promise<readonly SuiteScore[]> {
  const index = pathToFileURL(join(folder, "tests", "index.mjs")).href;
  const { default: groups } = (await import(index)) as {
    readonly default: readonly { readonly tests: readonly SuiteTest[] }[];
  };
  const tests = groups
    .flatMap((group) => group.tests)
    .filter((test) => test.browser_only !== true && test.cdn_only !== true);
  return (["required", "optimal"] as const).map((kind) => {
    const ofKind = tests.filter((test) => (test.kind ?? "required") === kind);
    const failures = ofKind.flatMap(({ id }) => {
      const result = results[id];
      return result === true ? [] : [`${id}: ${result?.[1] ?? "not run"}`];
    });
    return { suite: `cache-tests, ${kind}`, total: ofKind.length, failures };
  });
}
