import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

/**
 * Where the data of the suite `name` lies: below `APIFORGE_SUITES`, by default a folder
 * `shared/suites` beside the repository.
 * @throws {Error} that says where to get it when it is not there.
 */
export function suiteFolder(name: string, source: string): string {
  const root =
    process.env["APIFORGE_SUITES"] ?? resolve(import.meta.dirname, "../../../shared/suites");
  const folder = join(root, name);
  if (existsSync(folder)) return folder;
  throw new Error(
    `The suite ${name} is not there. Clone ${source} into a folder and name that folder in APIFORGE_SUITES.`,
  );
}
