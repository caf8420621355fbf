import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const ready = /^Sandbox ready on (http:\/\/127\.0\.0\.1:\d+)$/;

function spawnMain(stdio: StdioOptions, args = ["--port", "0"], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [main, ...args], {
    stdio,
    env: { ...process.env, ...env },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("stdout must be a pipe");
  const [line] = await once(createInterface(child.stdout), "line");
  return String(line);
}

async function urlOf(child: ChildProcess): Promise<string> {
  const line = await firstLine(child);
  return ready.exec(line)?.[1] ?? expect.unreachable(`not the ready line: ${line}`);
}

describe("the sandbox as a process", () => {
  test("says once where it is, and serves there", async () => {
    const url = await urlOf(spawnMain(["ignore", "pipe", "inherit"]));
    expect((await fetch(url)).status).toBe(200);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("stops with code 0 on %s", async (signal) => {
    const child = spawnMain(["ignore", "pipe", "inherit"]);
    await urlOf(child);
    child.kill(signal);
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("stops on SIGTERM although an answer is still due", async () => {
    const child = spawnMain(["ignore", "pipe", "inherit"]);
    const url = await urlOf(child);
    const body = JSON.stringify({ kind: "slow", delayMs: 600_000 });
    await fetch(`${url}/_sandbox/slack/fault`, { method: "PUT", body });
    const post = fetch(`${url}/services/T0/B0/x`, { method: "POST", body: '{"text":"x"}' });
    const messages = async () => (await fetch(`${url}/_sandbox/slack/messages`)).text();
    await expect.poll(messages).toContain('"fault": "slow"');
    // Listened for at once: it may end before its connection is seen to be closed.
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    await expect(post).rejects.toThrow("fetch failed");
    expect(await exited).toEqual([0, null]);
  });

  test("stops when its parent closes the pipe of its stdin", async () => {
    const child = spawnMain(["pipe", "pipe", "inherit"]);
    await urlOf(child);
    child.stdin?.end();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test("stops when its parent closes the IPC channel", async () => {
    const child = spawnMain(["ignore", "pipe", "inherit", "ipc"]);
    await urlOf(child);
    child.disconnect();
    expect(await once(child, "exit")).toEqual([0, null]);
  });

  test.each(["pipe", "ipc"])("does not outlive a parent killed with SIGKILL (%s)", async (tie) => {
    const stdio =
      tie === "ipc" ? ["ignore", "inherit", "inherit", "ipc"] : ["pipe", "inherit", "inherit"];
    const script = `require("node:child_process").spawn(process.execPath, ${JSON.stringify([main, "--port", "0"])}, { stdio: ${JSON.stringify(stdio)} })`;
    const parent = spawn(process.execPath, ["-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void parent.kill("SIGKILL"));
    await urlOf(parent);
    parent.kill("SIGKILL");
    // The sandbox holds the other end of this pipe: it ends when the last of the two is gone.
    await once(parent, "close");
    expect(parent.signalCode).toBe("SIGKILL");
  });

  test("takes its port from --port before PORT", async () => {
    const child = spawnMain(["ignore", "pipe", "inherit"], ["--port", "0"], { PORT: "1" });
    expect(await firstLine(child)).toMatch(ready);
  });

  test("takes its port from PORT", async () => {
    const child = spawnMain(["ignore", "pipe", "inherit"], [], { PORT: "0" });
    expect(await firstLine(child)).toMatch(ready);
  });

  test.each([[["--port", "x"]], [["--port", "65536"]], [["--what"]]])(
    "refuses %j with code 1 and its usage",
    async (args) => {
      const child = spawnMain(["ignore", "ignore", "pipe"], args);
      const lines = child.stderr?.setEncoding("utf8").toArray();
      expect(await once(child, "exit")).toEqual([1, null]);
      expect(((await lines) ?? []).join("")).toContain("Usage: sandbox");
    },
  );

  test("says so when its port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? String(address?.port) : "";
    const child = spawnMain(["ignore", "ignore", "pipe"], ["--port", port]);
    const lines = child.stderr?.setEncoding("utf8").toArray();
    expect(await once(child, "exit")).toEqual([1, null]);
    expect(((await lines) ?? []).join("")).toContain("EADDRINUSE");
  });
});
