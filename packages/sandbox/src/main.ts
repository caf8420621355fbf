import { fstatSync } from "node:fs";
import { parseArgs } from "node:util";
import { startSandbox } from "./server.ts";

const defaultPort = "4001";
const usage = "Usage: sandbox [--port 4001] [--host 127.0.0.1]; PORT and HOST are read as well";

await main();

async function main(): Promise<void> {
  try {
    const sandbox = await startSandbox(readSettings());
    onEndOfLife(() => void sandbox.stop().then(() => process.exit(0)));
    console.log(`Sandbox ready on ${sandbox.url}`);
  } catch (error) {
    console.error(`The sandbox cannot start: ${String(error)}`);
    console.error(usage);
    process.exit(1);
  }
}

function readSettings(): { port: number; host: string } {
  const options = { port: { type: "string" }, host: { type: "string" } } as const;
  const { values } = parseArgs({ options });
  const portText = values.port ?? process.env["PORT"] ?? defaultPort;
  const port = Number(portText);
  if (!/^\d+$/.test(portText) || port > 65_535) throw new Error(`${portText} is not a port`);
  return { port, host: values.host ?? process.env["HOST"] ?? "127.0.0.1" };
}

/** Runs `stop` once: on a signal, or when the process that started this one is gone. */
function onEndOfLife(stop: () => void): void {
  let stopping = false;
  const stopOnce = () => {
    if (!stopping) stop();
    stopping = true;
  };
  process.on("SIGTERM", stopOnce);
  process.on("SIGINT", stopOnce);
  // However the parent ends, the kernel closes its ends of the IPC channel and of stdin's pipe.
  process.on("disconnect", stopOnce);
  if (isPipe(0)) {
    process.stdin.on("end", stopOnce).on("error", stopOnce).resume();
  }
}

/** A terminal, a file or /dev/null as stdin says nothing about the parent. */
function isPipe(descriptor: number): boolean {
  try {
    const stat = fstatSync(descriptor);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}
