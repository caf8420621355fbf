import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createHttpClient } from "@apiforge/testing";
import { spawnServer } from "@apiforge/testing/crash";
import { expect, onTestFinished, test } from "vitest";

const entry = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const tokenCommand = fileURLToPath(
  new URL("../../../packages/apiforge/src/cli/token.ts", import.meta.url),
);

test("the README's app answers, replays and runs its job", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "apiforge-orders-"));
  onTestFinished(() => rmSync(dataDir, { recursive: true }));
  const server = await spawnServer({ entry, env: { PORT: "0", APIFORGE_DATA_DIR: dataDir } });
  onTestFinished(() => server.kill9());
  await using client = createHttpClient(server.url);

  const order = {
    method: "POST",
    path: "/orders",
    token: token(dataDir),
    headers: { "idempotency-key": "order-1" },
    body: { cents: 4200 },
  };
  const first = await client.request(order);
  const second = await client.request(order);

  expect(first.status).toBe(201);
  expect(second.body).toBe(first.body);
  expect(second.headers).toMatchObject({ "idempotent-replayed": "true", "x-forge-seq": "1" });
  await server.waitForLine(/^receipt for ord_\w+: 4200 cents \(attempt 1\)$/);
  await server.stop();
});

function token(dataDir: string): string {
  const args = ["--conditions=@apiforge/source", tokenCommand, "--sub", "usr_1"];
  const env = { ...process.env, APIFORGE_DATA_DIR: dataDir };
  return execFileSync(process.execPath, args, { env, encoding: "utf8" }).trim();
}
