import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { cleanEnvironment } from "./clean-environment.ts";
import { directoryWith, executableName, pathDirectories } from "./executables.ts";

/** Path of the first of `programs` that is on `PATH`. */
export function findProgram(...programs: readonly string[]): string | undefined {
  for (const program of programs) {
    const directory = directoryWith([program], pathDirectories());
    if (directory !== undefined) return join(directory, executableName(program));
  }
  return undefined;
}

/**
 * Installs a package of Debian or Ubuntu. Does nothing where there is no apt-get or this process is
 * not root.
 * @throws Error with apt-get's own words when it fails.
 */
export function installPackage(name: string): void {
  if (process.getuid?.() !== 0 || findProgram("apt-get") === undefined) return;
  apt(["update"]);
  apt(["install", "-y", "--no-install-recommends", name]);
}

function apt(args: readonly string[]): void {
  // RUNLEVEL=1 keeps Debian from starting the service that comes with a package.
  const env = cleanEnvironment({ DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" });
  const { status, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8" });
  if (status !== 0) throw new Error(`apt-get ${args.join(" ")} failed: ${stderr}`);
}
