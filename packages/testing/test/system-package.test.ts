import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { cleanEnvironment } from "../src/clean-environment.ts";

const source = new URL("../src/system-package.ts", import.meta.url).href;

// As apt does, it refuses to run twice, leaves what is installed alone, and a program is there before its package is complete.
const fakeApt = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
mkdir running || exit 100
if [ "$1" = install ] && [ ! -e wanted ]; then
  printf '#!/bin/sh\\nexit 1\\n' > wanted
  chmod +x wanted
  sleep 0.5
  printf '#!/bin/sh\\nexit 0\\n' > wanted
else
  sleep 0.5
fi
rmdir running
`;

const program = `
  const { bringProgram, findProgram } = await import(${JSON.stringify(source)});
  const { spawnSync } = await import("node:child_process");
  const found = bringProgram("wanted", () => findProgram("wanted"));
  console.log(found === undefined ? "none" : spawnSync(found).status);
`;

test("processes that need a package at once have it installed one after the other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-apt-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "apt-get"), fakeApt);
  chmodSync(join(folder, "apt-get"), 0o755);
  const { PATH = "", ...rest } = cleanEnvironment();
  const env = { ...rest, TMPDIR: folder, PATH: `${folder}${delimiter}${PATH}` };
  const args = ["--input-type=module", "--eval", program];
  const bring = async () =>
    (await promisify(execFile)(process.execPath, args, { env })).stdout.trim();
  // Only root may install.
  const expected = process.getuid?.() === 0 ? "0" : "none";
  expect(await Promise.all([bring(), bring(), bring()])).toEqual([expected, expected, expected]);
});
