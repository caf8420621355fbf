import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { missingBuilds, platformOf, type LockEntry } from "../scripts/lockfile/missing-builds.ts";
import { repository } from "./gates/planted-tree.ts";

interface Entry extends LockEntry {
  link?: boolean;
  resolved?: string;
  hasInstallScript?: boolean;
}

const kinds = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
] as const;
type Manifest = Partial<Record<(typeof kinds)[number], Record<string, string>>>;

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(repository, path), "utf8"));
}

const { packages } = readJson("package-lock.json") as { packages: Record<string, Entry> };
const entries = Object.entries(packages);

describe("package-lock.json", () => {
  test("has every build of every platform, or npm ci would refuse it (npm run lockfile)", () => {
    expect(missingBuilds(packages)).toEqual({});
  });

  test("agrees with the package.json of every workspace", () => {
    const workspaces = entries
      .map(([path]) => path)
      .filter((path) => !path.includes("node_modules"));
    expect(workspaces).toContain("packages/apiforge");

    for (const workspace of workspaces) {
      const manifest = readJson(join(workspace, "package.json")) as Manifest;
      const locked: Manifest = packages[workspace] ?? {};
      for (const kind of kinds) {
        expect({ workspace, [kind]: locked[kind] }).toEqual({ workspace, [kind]: manifest[kind] });
      }
    }
  });

  test("names no registry", () => {
    const addresses = entries.filter(([, { resolved, link }]) => resolved !== undefined && !link);

    expect(addresses).toEqual([]);
  });

  test("has no install script that package.json does not allow or deny", () => {
    const { allowScripts } = readJson("package.json") as {
      allowScripts: Record<string, boolean>;
    };
    const withScripts = entries
      // npm never runs the install scripts of builds for other platforms.
      .filter(([path, entry]) => entry.hasInstallScript && !path.endsWith("/fsevents"))
      .map(([path]) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length));

    expect([...new Set(withScripts)].sort()).toEqual(Object.keys(allowScripts).sort());
  });
});

describe("the platform of a build", () => {
  const recorded = entries.filter(([path, { os, cpu }]) => os && cpu && platformOf(path));

  test("is read from its name as the registry records it", () => {
    expect(recorded.length).toBeGreaterThan(10);
    for (const [path, { os, cpu, libc }] of recorded) {
      const { libc: guessedLibc, ...guessed } = platformOf(path) ?? {};
      expect({ path, ...guessed }).toEqual({ path, os, cpu });
      // Some publishers leave the C library out.
      if (libc !== undefined) expect({ path, libc: guessedLibc }).toEqual({ path, libc });
    }
  });

  test("is asked for where the name does not say it", () => {
    const lock = { "node_modules/tool": { optionalDependencies: { "fast-tool": "1.0.0" } } };

    expect(() => missingBuilds(lock)).toThrow("fast-tool@1.0.0 is not in the lock");
  });

  test("becomes an entry that other platforms skip", () => {
    const lock = {
      "node_modules/tool": { dev: true, optionalDependencies: { "@tool/linux-x64-musl": "1.0.0" } },
    };

    expect(missingBuilds(lock)).toEqual({
      "node_modules/@tool/linux-x64-musl": {
        version: "1.0.0",
        os: ["linux"],
        cpu: ["x64"],
        libc: ["musl"],
        dev: true,
        optional: true,
      },
    });
  });
});
