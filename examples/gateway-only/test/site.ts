import { fileURLToPath } from "node:url";

import { bringPython, freePort } from "@apiforge/testing";
import { SupervisedProcess } from "@apiforge/testing/supervisor";

/** The site behind the gateway: Python's own server on the folder `site`. */
export interface Site extends AsyncDisposable {
  readonly url: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port. */
  restart(): Promise<void>;
}

const folder = fileURLToPath(new URL("../site", import.meta.url));

/** @throws Error that says what to install where there is no Python. */
export async function startSite(): Promise<Site> {
  bringPython();
  const port = await freePort();
  const python = await SupervisedProcess.launch({
    name: "apiforge-site",
    user: undefined,
    stopSignal: "SIGKILL",
  });
  const args = [
    "-u",
    "-m",
    "http.server",
    String(port),
    "--bind",
    "127.0.0.1",
    "--directory",
    folder,
  ];
  // Some machines' python3 is a script that looks for the real one at home.
  const env = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "" };
  const restart = async (): Promise<void> => {
    await python.start({ command: "python3", args, env }, "Serving HTTP");
  };
  await restart();
  return {
    url: `http://127.0.0.1:${port}`,
    kill: () => python.end("SIGKILL"),
    restart,
    [Symbol.asyncDispose]: () => python.close(),
  };
}
