import { access, readFile } from "node:fs/promises";
import { registerHooks } from "node:module";
import { basename, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import type { ConfigProblem } from "./problem.ts";
import { digestOf } from "./revision.ts";

/** What is looked for in a folder, first come first served. */
const fileNames = [
  "apiforge.config.ts",
  "apiforge.config.js",
  "apiforge.config.mjs",
  "apiforge.config.json",
] as const;

/** A file's content, or why there is none. */
export interface Loaded {
  /** Undefined where something is wrong. */
  readonly value: unknown;
  readonly problems: readonly ConfigProblem[];
  /** The files that were read, the configuration file first. */
  readonly files: readonly string[];
  /** Of their content. */
  readonly digest: string;
}

/** Names one loading of a module, so that Node reads it again. */
const parameter = "apiforge-revision";
let loadings = 0;
/** By loading: the files that belong to it so far. */
const imported = new Map<string, Set<string>>();
let hasHooks = false;

/** The configuration file that is meant: `given`, or the one in `folder`; undefined when none is there. */
export async function findConfigFile(
  given: string | undefined,
  folder: string,
): Promise<string | undefined> {
  const paths =
    given === undefined ? fileNames.map((name) => join(folder, name)) : [resolve(folder, given)];
  for (const path of paths) {
    try {
      await access(path);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}

/**
 * What the configuration file at `path` says now: its default export, or its JSON. A module and the files
 * beside it that it imports by relative paths are read anew each time; packages are not.
 */
export async function loadConfigFile(path: string): Promise<Loaded> {
  const files = new Set([path]);
  const content = await contentOf(path, files);
  const digest = digestOf(await Promise.all([...files].map(textOf)));
  return { ...content, files: [...files], digest };
}

type Content = Pick<Loaded, "value" | "problems">;

async function contentOf(path: string, files: Set<string>): Promise<Content> {
  try {
    return await (path.endsWith(".json") ? loadJson(path) : loadModule(path, files));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return failed(`cannot be loaded: ${said}`, `Repair ${basename(path)}.`);
  }
}

/** Empty for a file that is gone meanwhile. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    return "";
  }
}

async function loadJson(path: string): Promise<Content> {
  return { value: JSON.parse(await readFile(path, "utf8")) as unknown, problems: [] };
}

async function loadModule(path: string, files: Set<string>): Promise<Content> {
  if (!hasHooks) readAnewBelow();
  hasHooks = true;
  loadings += 1;
  const loading = String(loadings);
  imported.set(loading, files);
  const url = pathToFileURL(path);
  url.searchParams.set(parameter, loading);
  try {
    const module = (await import(url.href)) as { readonly default?: unknown };
    const value = await module.default;
    if (value !== undefined) return { value, problems: [] };
    return failed("exports nothing by default", "Write export default defineConfig({ … }).");
  } finally {
    imported.delete(loading);
  }
}

/** What a module of one loading imports by a relative path belongs to that loading. */
function readAnewBelow(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const { parentURL } = context;
      if (parentURL === undefined || !/^\.\.?\//.test(specifier)) return resolved;
      const loading = new URL(parentURL).searchParams.get(parameter);
      if (loading === null || !resolved.url.startsWith("file:")) return resolved;
      const file = fileURLToPath(resolved.url);
      // Only files of the configuration: what lies in a package stays as it is.
      if (file.includes("/node_modules/")) return resolved;
      imported.get(loading)?.add(file);
      const url = new URL(resolved.url);
      url.searchParams.set(parameter, loading);
      return { ...resolved, url: url.href };
    },
  });
}

function failed(problem: string, remedy: string): Content {
  return { value: undefined, problems: [{ path: "", problem, remedy }] };
}
