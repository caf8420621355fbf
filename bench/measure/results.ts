import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../results/", import.meta.url));

/** Writes `result` as `bench/results/<date>-<name>.json`, replacing one of the same day; answers the file's name. */
export function writeResult(name: string, result: object): string {
  mkdirSync(folder, { recursive: true });
  const file = fileOf(name);
  writeFileSync(`${folder}${file}`, `${JSON.stringify(result, null, 2)}\n`);
  return `bench/results/${file}`;
}

/** Today's result of that name, or undefined. */
export function readResult(name: string): unknown {
  const path = `${folder}${fileOf(name)}`;
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as unknown) : undefined;
}

function fileOf(name: string): string {
  return `${new Date().toISOString().slice(0, 10)}-${name}.json`;
}
