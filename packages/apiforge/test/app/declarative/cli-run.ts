import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { onTestFinished } from "vitest";

/** The program of the command line. */
export const cliEntry = fileURLToPath(new URL("../../../src/cli/apiforge.ts", import.meta.url));

/** What a command said, and how it ended. */
export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where a command runs. */
interface CliPlace {
  readonly folder: string;
  /** Beside `PATH` and a free port. */
  readonly env: Readonly<Record<string, string>>;
}

/** Runs `apiforge …args` in a folder to its end. */
export function runCli(place: string | CliPlace, ...args: readonly string[]): Promise<CliRun> {
  const { folder, env } = typeof place === "string" ? { folder: place, env: {} } : place;
  const command = ["--conditions=@apiforge/source", cliEntry, ...args];
  const options = { cwd: folder, env: { PATH: process.env["PATH"], PORT: "0", ...env } };
  const { promise, resolve, reject } = Promise.withResolvers<CliRun>();
  execFile(process.execPath, command, options, (error, stdout, stderr) => {
    const exitCode = error === null ? 0 : error.code;
    if (typeof exitCode === "number") resolve({ exitCode, stdout, stderr });
    else reject(error);
  });
  return promise;
}

/** A folder with one file in it, which is gone after the test. */
export async function folderWith(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "gateway-cli-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), text);
  return folder;
}
