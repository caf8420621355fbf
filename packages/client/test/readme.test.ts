import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { createDeployment, spawnProcess } from "@apiforge/testing";
import { postgresUrl } from "@apiforge/testing/postgres-url";
import { expect, test } from "vitest";

const folder = new URL("../", import.meta.url);
const block = /<!-- extracted from (\S+) -->\n```tsx?\n([\s\S]*?)```/g;

test("code blocks of the README are the files that they name", () => {
  const blocks = [...readFileSync(new URL("README.md", folder), "utf8").matchAll(block)];
  expect(blocks.map(([, file]) => file)).toEqual([
    "test/readme-example.ts",
    "test-page/readme-example.tsx",
  ]);
  for (const [, file = "", code] of blocks) {
    expect(code).toBe(readFileSync(new URL(file, folder), "utf8"));
  }
});

test("the README's example does what it says, against the example server", async () => {
  await using deployment = await createDeployment({ store: "sqlite", postgresUrl: postgresUrl() });
  await using server = await deployment.start();
  const TOKEN = await deployment.token({ sub: "usr_readme" });
  await using example = spawnProcess({
    entry: fileURLToPath(new URL("test/readme-example.ts", folder)),
    env: { API_URL: server.url, TOKEN },
  });
  await example.waitForLine(/^refused: /);
  expect(example.stdout().split("\n")).toEqual([
    "created From the client",
    "listed From the client",
    "refused: not_found",
  ]);
});
