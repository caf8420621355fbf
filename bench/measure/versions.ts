import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);

/** Versions of Node, of the SQLite inside it, of wrk and of the named npm packages. */
export function describeVersions(packages: readonly string[]): Record<string, string> {
  const versions: Record<string, string> = {
    node: process.versions.node,
    sqlite: process.versions.sqlite ?? "none",
    wrk: firstLine("wrk", ["--version"]),
  };
  for (const name of packages) versions[name] = packageVersion(name);
  return versions;
}

function packageVersion(name: string): string {
  // Not every package exports its package.json: walk up from its entry to the folder of its name.
  for (let folder = dirname(require.resolve(name)); folder !== dirname(folder);) {
    const manifest = readManifest(join(folder, "package.json"));
    if (manifest?.name === name) return manifest.version;
    folder = dirname(folder);
  }
  throw new Error(`No package.json found for ${name}.`);
}

function readManifest(path: string): { name: string; version: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function firstLine(command: string, commandArguments: readonly string[]): string {
  try {
    return execFileSync(command, commandArguments, { encoding: "utf8" }).split("\n")[0] ?? "";
  } catch (error) {
    // wrk prints its version and exits with 1.
    if (error instanceof Error && "stdout" in error)
      return String(error.stdout).split("\n")[0] ?? "";
    throw error;
  }
}
