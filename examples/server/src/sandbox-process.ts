import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The sandbox providers as a process of their own. */
export interface SandboxProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts the sandbox on `port` (0 picks one). It ends with this process, however that ends: the
 * pipe on its standard input closes.
 * @throws {Error} when it cannot start, with what it said.
 */
export async function startSandboxProcess(port: number): Promise<SandboxProcess> {
  const script = fileURLToPath(import.meta.resolve("@apiforge/sandbox/main"));
  const args = [...process.execArgv, script, "--port", String(port)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^Sandbox ready on (\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return { url, stop: () => stop(child) };
  }
  throw new Error("The sandbox ended before it was ready; its message stands above.");
}

async function stop(child: ReturnType<typeof spawn>): Promise<void> {
  if (child.exitCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}
