import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { defineRoute } from "apiforge";
import { callProvider } from "apiforge/resilience";
import { Type } from "typebox";

import { suiteFolder } from "./folder.ts";
import type { SuiteScore } from "./score.ts";
import { serve } from "./serve.ts";

const calls = Type.Array(
  Type.Object({ url: Type.String(), arguments: Type.Array(Type.Unknown()) }),
);

/** What the suite asks a service for: to call each of these on, with what it is told to send there. */
const callOn = defineRoute({
  method: "POST",
  path: "/test",
  auth: "none",
  transaction: "none",
  body: calls,
  replies: { 200: Type.Object({}) },
  handler: async ({ body }) => {
    for (const { url, arguments: content } of body) {
      const headers = { "content-type": "application/json" };
      const init = { method: "POST", headers, body: JSON.stringify(content) };
      const limits = { provider: "The harness", timeoutMs: 5_000, maxBodyBytes: 65_536 };
      await callProvider(url, init, limits);
    }
    return { status: 200, body: {} };
  },
});

/** The program of w3c/trace-context as it is, against our server with OpenTelemetry's SDK. */
export async function runTraceContext(): Promise<SuiteScore> {
  const folder = suiteFolder("trace-context", "github.com/w3c/trace-context");
  const provider = new NodeTracerProvider();
  provider.register();
  await using server = await serve([callOn]);
  const printed = await outputOf(join(folder, "test", "test.py"), `${server.url}/test`);
  await provider.shutdown();
  const results = [...printed.matchAll(/^(test_\w+) \([^)]*\)[\s\S]*?\.\.\. (ok|FAIL|ERROR)$/gm)];
  const [, ran] = /^Ran (\d+) tests/m.exec(printed) ?? [];
  if (results.length === 0 || Number(ran) !== results.length)
    throw new Error(`trace-context printed no result: ${printed}`);
  const failures = results.flatMap(([, name = "", result]) => (result === "ok" ? [] : [name]));
  return { suite: "trace-context, levels 1 and 2, strict", total: results.length, failures };
}

async function outputOf(program: string, endpoint: string): Promise<string> {
  const env = { ...process.env, SPEC_LEVEL: "2", HARNESS_PORT: String(await freePort()) };
  const child = spawn(await python(), [program, endpoint], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  return output.join("\n");
}

/**
 * A Python that has what the suite needs.
 * @throws {Error} that says what to install.
 */
async function python(): Promise<string> {
  // Debian's package is seen by Debian's Python, which need not be the first on the PATH.
  for (const command of ["python3", "/usr/bin/python3"]) {
    const asked = spawn(command, ["-c", "import aiohttp"], { stdio: "ignore" });
    const code = await new Promise((resolve) => {
      asked.once("close", resolve);
      asked.once("error", resolve);
    });
    if (code === 0) return command;
  }
  throw new Error(
    "The suite needs Python with aiohttp; on Debian: apt-get install python3-aiohttp",
  );
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}
