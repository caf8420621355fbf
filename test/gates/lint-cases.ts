/** A file that the linter must reject, and the one rule it must name. */
export interface LintCase {
  readonly rule: string;
  readonly path: string;
  readonly source: string;
}

const inSandbox = (name: string) => `packages/sandbox/src/${name}.ts`;
const inTest = (name: string) => `packages/sandbox/test/${name}.test.ts`;

/** One planted violation for each rule that the house relies on. */
export const lintCases: readonly LintCase[] = [
  {
    rule: "typescript(no-floating-promises)",
    path: inSandbox("floating"),
    source: "export function start(): void {\n  Promise.resolve(1);\n}\n",
  },
  {
    rule: "typescript(no-misused-promises)",
    path: inSandbox("misused"),
    source:
      "export function start(run: (task: () => void) => void): void {\n  run(async () => {});\n}\n",
  },
  {
    rule: "typescript(await-thenable)",
    path: inSandbox("awaited"),
    source:
      "export async function start(value: number): Promise<number> {\n  const same = await value;\n  return same;\n}\n",
  },
  {
    rule: "typescript(no-explicit-any)",
    path: inSandbox("any"),
    source: "export const value: any = 1;\n",
  },
  {
    rule: "typescript(consistent-type-imports)",
    path: inSandbox("type-import"),
    source:
      'import { Readable } from "node:stream";\n\nexport type Source = Readable | undefined;\n',
  },
  {
    rule: "typescript(switch-exhaustiveness-check)",
    path: inSandbox("switch"),
    source:
      'export function rank(size: "s" | "l"): number {\n  switch (size) {\n    case "s":\n      return 1;\n  }\n  return 2;\n}\n',
  },
  {
    rule: "import(no-default-export)",
    path: inSandbox("default"),
    source: "export default 1;\n",
  },
  {
    rule: "eslint(no-console)",
    path: inSandbox("console"),
    source: 'console.log("hello");\n',
  },
  {
    rule: "node(no-process-env)",
    path: inSandbox("environment"),
    source: 'export const port = process.env["PORT"];\n',
  },
  {
    rule: "unicorn(filename-case)",
    path: inSandbox("CamelCase"),
    source: "export const value = 1;\n",
  },
  {
    rule: "unicorn(prefer-node-protocol)",
    path: inSandbox("protocol"),
    source: 'export { join } from "path";\n',
  },
  {
    rule: "vitest(no-focused-tests)",
    path: inTest("focused"),
    source:
      'import { expect, test } from "vitest";\n\ntest.only("adds", () => {\n  expect(1 + 1).toBe(2);\n});\n',
  },
  {
    rule: "vitest(no-disabled-tests)",
    path: inTest("disabled"),
    source:
      'import { expect, test } from "vitest";\n\ntest.skip("adds", () => {\n  expect(1 + 1).toBe(2);\n});\n',
  },
  {
    rule: "vitest(expect-expect)",
    path: inTest("empty"),
    source: 'import { test } from "vitest";\n\ntest("adds", () => {});\n',
  },
];
