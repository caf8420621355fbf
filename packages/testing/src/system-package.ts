import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
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
 * What `find` finds. Where that is nothing, and this process is root on Debian or Ubuntu, their package
 * `name` is installed first. Test processes that need a package at once do so one after the other: apt
 * refuses to run twice, and what another one is just installing may be on `PATH` before it works.
 * @throws Error with apt-get's own words when it fails.
 */
export function bringProgram(name: string, find: () => string | undefined): string | undefined {
  if (process.getuid?.() !== 0 || findProgram("apt-get") === undefined) return find();
  runAlone("true");
  const found = find();
  if (found !== undefined) return found;
  runAlone("apt-get", "update");
  runAlone("apt-get", "install", "-y", "--no-install-recommends", name);
  return find();
}

/** Runs a command while no other test process runs one. */
function runAlone(...command: readonly string[]): void {
  // RUNLEVEL=1 keeps Debian from starting the service that comes with a package.
  const env = cleanEnvironment({ DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" });
  const { status, stderr } = spawnSync("flock", [tmpdir(), ...command], { env, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command.join(" ")} failed: ${stderr}`);
}
