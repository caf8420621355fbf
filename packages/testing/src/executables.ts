import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The directories of `PATH`, in order. */
export function pathDirectories(): string[] {
  return (process.env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
}

/** The first of `directories` that holds every one of `programs`, each executable. */
export function directoryWith(
  programs: readonly string[],
  directories: readonly string[],
): string | undefined {
  return directories.find((directory) =>
    programs.every((program) => isExecutable(join(directory, executableName(program)))),
  );
}

/** `program` as a file name of this platform. */
export function executableName(program: string): string {
  return process.platform === "win32" ? `${program}.exe` : program;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
