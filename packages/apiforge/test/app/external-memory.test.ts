import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const file = fileURLToPath(new URL("../../src/app/external-memory.ts", import.meta.url));
const program = `
  const { measureBuffersWithTheHeap } = await import(process.argv[1]);
  measureBuffersWithTheHeap();
`;

test("V8 knows the flag that has it measure buffers with the heap", () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", program, file],
    { encoding: "utf8" },
  );
  // V8 complains of flags that it does not know, and goes on.
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
