import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

const root = new URL("../../../../", import.meta.url);
const block = /<!-- extracted from (\S+) -->\n```ts\n([\s\S]*?)```/g;

test("code blocks of the README are the files that they name", () => {
  const blocks = [...readFileSync(new URL("README.md", root), "utf8").matchAll(block)];
  expect(blocks.map(([, file]) => file)).toEqual(["examples/orders/src/main.ts"]);
  for (const [, file = "", code] of blocks) {
    expect(code).toBe(readFileSync(new URL(file, root), "utf8"));
  }
});
