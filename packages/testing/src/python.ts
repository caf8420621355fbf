import { bringProgram, findProgram } from "./system-package.ts";

/**
 * Makes sure that `python3` is on `PATH`: where it is not and this process is root on Debian, the package is
 * installed.
 * @throws Error that says what to install.
 */
export function bringPython(): void {
  if (bringProgram("python3", () => findProgram("python3")) !== undefined) return;
  throw new Error(
    "python3 is needed and not on PATH. Install it: apt-get install python3, brew install python, or from python.org.",
  );
}
