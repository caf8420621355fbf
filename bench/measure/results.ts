import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../results/", import.meta.url));

/** Writes `result` as `bench/results/<date>-<name>.json`, replacing one of the same day; answers the file's name. */
export function writeResult(name: string, result: object): string {
  mkdirSync(folder, { recursive: true });
  const file = `${new Date().toISOString().slice(0, 10)}-${name}.json`;
  writeFileSync(`${folder}${file}`, `${JSON.stringify(result, null, 2)}\n`);
  return `bench/results/${file}`;
}
