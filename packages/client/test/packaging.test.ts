import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, onTestFinished, test } from "vitest";

const packageDir = fileURLToPath(new URL("..", import.meta.url));
const tsc = join(packageDir, "../../node_modules/typescript/bin/tsc");

test("the built package runs where nothing else is installed, without React", () => {
  const folder = mkdtempSync(join(tmpdir(), "apiforge-client-package-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const installed = join(folder, "node_modules/@apiforge/client");
  const build = [
    "-p",
    join(packageDir, "tsconfig.build.json"),
    "--outDir",
    join(installed, "dist"),
  ];
  execFileSync(process.execPath, [tsc, ...build]);
  cpSync(join(packageDir, "package.json"), join(installed, "package.json"));

  const script = `import { createClient } from "@apiforge/client";
    console.log(typeof createClient({ baseUrl: "http://127.0.0.1:9" }).request);`;
  const command = ["--input-type=module", "--eval", script];
  const printed = execFileSync(process.execPath, command, { cwd: folder, encoding: "utf8" });
  expect(printed).toBe("function\n");

  const described = JSON.parse(readFileSync(join(packageDir, "package.json"), "utf8")) as object;
  expect(described).not.toHaveProperty("dependencies");
  expect(described).toMatchObject({ peerDependenciesMeta: { react: { optional: true } } });
});
