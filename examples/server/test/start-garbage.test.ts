import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const sources = new URL("../src/", import.meta.url);

/** Fills the young generation as loading modules does, collects, and prints its size before and after. */
const script = `
  await import(${JSON.stringify(new URL("compile-cache.mjs", sources).href)});
  const { collectStartGarbage } = await import(${JSON.stringify(new URL("start-garbage.ts", sources).href)});
  const { getHeapSpaceStatistics } = await import("node:v8");
  const youngBytes = () =>
    getHeapSpaceStatistics().find((space) => space.space_name === "new_space").physical_space_size;
  let kept = [];
  for (let count = 0; count < 3_000_000; count++) {
    kept.push({ count });
    if (kept.length === 200_000) kept = [];
  }
  const grown = youngBytes();
  collectStartGarbage();
  console.log(JSON.stringify({ grown, left: youngBytes() }));
`;

test("what the start has grown the young generation to is given back", async () => {
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const { grown, left }: { grown: number; left: number } = JSON.parse(stdout);
  expect(grown).toBeGreaterThan(8e6);
  expect(left).toBeLessThan(2e6);
});
