import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasPinnedNode, hostPath, staleReason } from "../scripts/installed-packages.mjs";
import { plantFiles, repository } from "./gates/planted-tree.ts";

const tool = { version: "1.0.0", integrity: "sha512-a" };

function treeWith(wanted: object, present: object | undefined) {
  return plantFiles({
    "package-lock.json": JSON.stringify({ packages: { "": {}, ...wanted } }),
    ...(present && { "node_modules/.package-lock.json": JSON.stringify({ packages: present }) }),
  });
}

describe("node_modules", () => {
  test("is fresh when every locked package is there", () => {
    using tree = treeWith({ "node_modules/tool": tool }, { "node_modules/tool": tool });

    expect(staleReason(tree.root)).toBeUndefined();
  });

  test("is stale when it is missing, or an install was cut short", () => {
    using tree = treeWith({ "node_modules/tool": tool }, undefined);

    expect(staleReason(tree.root)).toBe("node_modules is missing or incomplete");
  });

  test.each<[what: string, present: object]>([
    ["absent", {}],
    ["of another version", { "node_modules/tool": { ...tool, version: "1.0.1" } }],
    ["of another content", { "node_modules/tool": { ...tool, integrity: "sha512-b" } }],
  ])("is stale when a package is %s", (_what, present) => {
    using tree = treeWith({ "node_modules/tool": tool }, present);

    expect(staleReason(tree.root)).toBe("node_modules/tool is not the one in package-lock.json");
  });

  test("need not have the builds for other platforms", () => {
    using tree = treeWith({ "node_modules/build": { ...tool, optional: true } }, {});

    expect(staleReason(tree.root)).toBeUndefined();
  });

  test("lacks the pinned Node until its install script has run", () => {
    using before = plantFiles({ "node_modules/node/package.json": "{}" });
    using after = plantFiles({
      "node_modules/node/bin/node": "",
      "node_modules/node/bin/node.exe": "",
    });

    expect(hasPinnedNode(before.root)).toBe(false);
    expect(hasPinnedNode(after.root)).toBe(true);
  });
});

describe("before npm start", () => {
  const scripts = ["scripts/ensure-installed.mjs", "scripts/installed-packages.mjs"];

  /** Runs the check in a tree whose `npm` is the given shell script. */
  function ensureInstalled(npm: string, files: Readonly<Record<string, string>> = {}) {
    const copies = scripts.map((path) => [path, readFileSync(join(repository, path), "utf8")]);
    using tree = plantFiles({
      "package.json": '{ "type": "module" }',
      "package-lock.json": '{ "packages": {} }',
      "bin/npm": `#!/bin/sh\n${npm}\n`,
      ...Object.fromEntries(copies),
      ...files,
    });
    chmodSync(join(tree.root, "bin/npm"), 0o755);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(tree.root, "scripts/ensure-installed.mjs")],
      {
        cwd: tree.root,
        encoding: "utf8",
        env: { PATH: [join(tree.root, "bin"), "/usr/bin", "/bin"].join(delimiter) },
      },
    );
    return { status, stdout, lines: stderr.trimEnd().split("\n") };
  }

  const pinnedNode = { "node_modules/node/bin/node": "", "node_modules/node/bin/node.exe": "" };

  test("nothing is installed or said when all is there", () => {
    const files = { ...pinnedNode, "node_modules/.package-lock.json": '{ "packages": {} }' };

    expect(ensureInstalled("exit 9", files)).toEqual({ status: 0, stdout: "", lines: [""] });
  });

  test("npm's output goes to stderr, without its remarks on the machine's Node", () => {
    const npm = 'echo "ran $*"; echo "npm warn EBADENGINE old" >&2; echo "npm warn other" >&2';

    expect(ensureInstalled(npm, pinnedNode)).toEqual({
      status: 0,
      stdout: "",
      lines: [
        expect.stringContaining("Installing dependencies"),
        "ran ci --include=dev",
        "npm warn other",
      ],
    });
  });

  test("a failed install stops npm start", () => {
    const { status, lines } = ensureInstalled("echo reason >&2; exit 1", pinnedNode);

    expect(status).toBe(1);
    expect(lines.slice(1)).toEqual(["reason", expect.stringContaining("The install failed")]);
  });

  test("blocked install scripts are explained", () => {
    const { status, lines } = ensureInstalled("exit 0");

    expect(status).toBe(1);
    expect(lines.at(-1)).toContain("npm rebuild node --ignore-scripts=false");
  });
});

test("an install runs on the machine's own Node, not on the one it is about to delete", () => {
  const inTree = join("tree", "node_modules", ".bin");

  expect(hostPath([inTree, "bin", join("tree", "bin")].join(delimiter))).toBe(
    ["bin", join("tree", "bin")].join(delimiter),
  );
});
