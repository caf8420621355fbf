import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** Root of this repository. */
export const repository = dirname(dirname(import.meta.dirname));

/** A folder outside the repository, where no other gate looks; gone at the end of its scope. */
export interface PlantedFiles extends Disposable {
  readonly root: string;
}

/** A small copy of the repository's shape, with this repository's own tools and their settings. */
export interface PlantedTree extends PlantedFiles {
  run(program: string, ...args: readonly string[]): Outcome;
}

/** How a program ended. */
export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const settings = [".oxlintrc.jsonc", ".oxfmtrc.jsonc", "knip.jsonc", "tsconfig.json"];
const manifest = { "package.json": '{\n  "name": "planted",\n  "type": "module"\n}\n' };

/** Writes `files` (text by path) into a new folder. */
export function plantFiles(files: Readonly<Record<string, string>>): PlantedFiles {
  const root = mkdtempSync(join(tmpdir(), "apiforge-planted-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true }) };
}

/** Writes `files` beside the settings of this repository's tools; its packages are within reach. */
export function plantTree(files: Readonly<Record<string, string>>): PlantedTree {
  const texts = settings.map((name) => [name, readFileSync(join(repository, name), "utf8")]);
  const planted = plantFiles({ ...manifest, ...Object.fromEntries(texts), ...files });
  symlinkSync(join(repository, "node_modules"), join(planted.root, "node_modules"));
  return { ...planted, run: (program, ...args) => runIn(planted.root, program, ...args) };
}

/** Runs a Node program, given by its path in this repository, with `folder` as working directory. */
export function runIn(folder: string, program: string, ...args: readonly string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repository, program), ...args],
    { cwd: folder, encoding: "utf8" },
  );
  return { exitCode: status, stdout, stderr };
}
