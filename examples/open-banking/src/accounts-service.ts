import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The bank's own service, as a process of its own. */
export interface AccountsService {
  readonly url: string;
  stop(): Promise<void>;
}

const script = fileURLToPath(new URL("accounts.py", import.meta.url));

/**
 * Starts the accounts service, which is written in Python, on a free port. It ends with this process,
 * however that ends: the pipe on its standard input closes.
 * @throws {Error} when it cannot start, with what to install.
 */
export async function startAccountsService(): Promise<AccountsService> {
  const child = spawn("python3", [script], { stdio: ["pipe", "pipe", "inherit"] });
  const failed = once(child, "error").then(([error]: unknown[]) => {
    throw new Error(
      "The accounts service needs python3 on the PATH: apt-get install python3, brew install python or python.org",
      { cause: error },
    );
  });
  return Promise.race([failed, ready(child)]);
}

type Child = ReturnType<typeof spawn>;

async function ready(child: Child): Promise<AccountsService> {
  const { stdout } = child;
  if (stdout === null) throw new Error("The accounts service has no output");
  for await (const line of createInterface({ input: stdout })) {
    const url = /^Accounts service on (\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    stdout.resume();
    return { url, stop: () => stop(child) };
  }
  throw new Error("The accounts service ended before it was ready; its message stands above.");
}

async function stop(child: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.end();
  await once(child, "exit");
}
