import { describe, expect, test } from "vitest";
import { lintCases } from "./gates/lint-cases.ts";
import { plantTree } from "./gates/planted-tree.ts";

// Every gate is shown a tree with known faults and must name exactly those: a gate that has never
// been seen red is not a gate, and one that is red everywhere is none either.

const sound = "export function double(value: number): number {\n  return value * 2;\n}\n";
const soundPath = "packages/sandbox/src/sound.ts";

describe("formatter", () => {
  test("rejects a file that is not formatted and nothing else", () => {
    using tree = plantTree({
      [soundPath]: sound,
      "packages/sandbox/src/crooked.ts": "export const  answer = 'forty-two'\n",
    });

    const { exitCode, stdout } = tree.run("node_modules/oxfmt/bin/oxfmt", "--list-different");

    expect(stdout.trim()).toBe("packages/sandbox/src/crooked.ts");
    expect(exitCode).toBe(1);
  });
});

describe("linter", () => {
  test("names the broken rule in each planted file, and none in a sound one", () => {
    using tree = plantTree({
      [soundPath]: sound,
      "scripts/tell.ts": 'console.log(process.env["HOME"]);\n',
      ...Object.fromEntries(lintCases.map(({ path, source }) => [path, source])),
    });

    const { exitCode, stdout } = tree.run("node_modules/oxlint/bin/oxlint", "--format=json");

    const report = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] };
    const found = report.diagnostics.map(({ filename, code }) => `${filename} ${code}`);
    expect(found.sort()).toEqual(lintCases.map(({ path, rule }) => `${path} ${rule}`).sort());
    expect(exitCode).toBe(1);
  });
});

describe("compiler", () => {
  test("rejects wrong types, syntax that Node cannot strip, and wrong type expectations", () => {
    using tree = plantTree({
      [soundPath]: sound,
      "packages/sandbox/src/wrong-type.ts": 'export const count: number = "one";\n',
      "packages/sandbox/src/not-erasable.ts": "export enum Size {\n  Small,\n}\n",
      "packages/sandbox/src/unchecked-index.ts":
        "export const first = (rows: string[]): string => rows[0];\n",
      "packages/sandbox/test/types.test.ts":
        'import { expectTypeOf, test } from "vitest";\n\ntest("is text", () => {\n  expectTypeOf<string>().toEqualTypeOf<number>();\n});\n',
      "scripts/plain.mjs": '/** @type {number} */\nexport const count = "one";\n',
    });

    const { exitCode, stdout } = tree.run("node_modules/typescript/bin/tsc", "-p", "tsconfig.json");

    const found = stdout.matchAll(/^(\S+)\(\d+,\d+\): error (TS\d+)/gm);
    expect([...found].map(([, path, code]) => `${path} ${code}`).sort()).toEqual([
      "packages/sandbox/src/not-erasable.ts TS1294",
      "packages/sandbox/src/unchecked-index.ts TS2322",
      "packages/sandbox/src/wrong-type.ts TS2322",
      "packages/sandbox/test/types.test.ts TS2344",
      "scripts/plain.mjs TS2322",
    ]);
    expect(exitCode).not.toBe(0);
  });
});

describe("knip", () => {
  test("reports what is unused, unlisted, unresolved or circular", () => {
    using tree = plantTree({
      "package.json": '{ "name": "planted", "type": "module", "workspaces": ["packages/*"] }\n',
      "packages/sandbox/package.json": JSON.stringify({
        name: "@apiforge/sandbox",
        type: "module",
        exports: { ".": { "@apiforge/source": "./src/index.ts", default: "./dist/index.js" } },
        dependencies: { zod: "*" },
      }),
      "packages/sandbox/src/index.ts":
        'export { double } from "./sound.ts";\nexport { ping } from "./ping.ts";\nimport "pino";\nimport "./nowhere.ts";\n',
      [soundPath]: `${sound}export const unusedValue = 1;\nexport type UnusedType = string;\n`,
      "packages/sandbox/src/ping.ts":
        'import { pong } from "./pong.ts";\nexport const ping = (): string => "ping " + pong();\n',
      "packages/sandbox/src/pong.ts":
        'import { ping } from "./ping.ts";\nexport const pong = (): string => "pong " + ping();\n',
      "packages/sandbox/src/forgotten.ts": "export const value = 1;\n",
    });

    const { exitCode, stdout } = tree.run("node_modules/knip/bin/knip.js", "--reporter=json");

    expect(knipFindings(stdout)).toEqual([
      "packages/sandbox/package.json dependencies zod",
      "packages/sandbox/src/forgotten.ts files packages/sandbox/src/forgotten.ts",
      "packages/sandbox/src/index.ts unlisted pino",
      "packages/sandbox/src/index.ts unresolved ./nowhere.ts",
      "packages/sandbox/src/ping.ts cycles packages/sandbox/src/ping.ts packages/sandbox/src/pong.ts",
      "packages/sandbox/src/sound.ts exports unusedValue",
      "packages/sandbox/src/sound.ts types UnusedType",
    ]);
    expect(exitCode).toBe(1);
  });
});

interface KnipName {
  readonly name: string;
}

/** knip's JSON as sorted lines: file, kind of finding, names (several for a cycle). */
function knipFindings(json: string): string[] {
  const { issues } = JSON.parse(json) as {
    issues: ({ file: string } & Record<string, (KnipName | KnipName[])[]>)[];
  };
  const lines: string[] = [];
  for (const { file, ...kinds } of issues) {
    for (const [kind, findings] of Object.entries(kinds)) {
      for (const finding of findings) {
        const names = [finding].flat().map(({ name }) => name);
        lines.push(`${file} ${kind} ${names.join(" ")}`);
      }
    }
  }
  return lines.sort();
}
