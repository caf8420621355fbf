import { basename } from "node:path";
import { parseArgs } from "node:util";

import {
  describeProblems,
  loadGatewayTools,
  runForge,
  workerLink,
  type Change,
  type Served,
} from "../app/index.ts";
import { describeGateway, reportProblems } from "./gateway-report.ts";

/**
 * `apiforge start [--config file] [--processes n]`: serves until a signal; exits with 1 when something is wrong, and
 * then nothing is started. A changed file is taken up by itself. With one process it is also on SIGHUP, and SIGUSR2
 * goes back to the configuration before; with several, SIGHUP replaces them.
 */
export async function startCommand(args: readonly string[]): Promise<undefined> {
  const options = { config: { type: "string" }, processes: { type: "string" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  const { config, processes } = values;
  if (processes !== undefined) process.env["APIFORGE_PROCESSES"] = processes;
  process.on("SIGUSR2", refuseRollback);
  await runForge(() => openFile(config));
}

async function openFile(given: string | undefined): Promise<Served> {
  const { readGatewayFile, serveGateway, followFile } = await loadGatewayTools();
  const file = await readGatewayFile(given);
  const { path, gateway: compiled, settings, digest, files } = file;
  if (compiled === undefined || path === undefined) {
    reportProblems(file);
    process.exit(1);
  }
  const link = workerLink();
  if (link === undefined || link.number === 1) console.log(describeGateway(path, compiled));
  const gateway = await serveGateway(compiled, settings, {}, digest);
  const tell = (change: Change): void => tellChange(basename(path), change, link?.number);
  const followed = followFile(gateway, path, { files, onChange: tell });
  if (link === undefined) {
    process.on("SIGHUP", () => void followed.reload());
    process.off("SIGUSR2", refuseRollback);
    process.on("SIGUSR2", () => void gateway.rollback().then(tell));
  }
  return {
    isReady: () => gateway.isReady(),
    listen: () => gateway.listen(),
    drain() {
      followed.stop();
      return gateway.drain();
    },
    stop() {
      followed.stop();
      return gateway.stop();
    },
  };
}

/** One of several processes may have started after the change, with nothing before it. */
function refuseRollback(): void {
  console.error("Several processes do not go back; put the file back as it was instead.");
}

function tellChange(name: string, change: Change, number: number | undefined): void {
  if (change.outcome === "refused") return console.error(describeProblems(change.problems, name));
  const by = number === undefined ? "" : ` by process ${number}`;
  console.log(`${name}: revision ${change.revision.id} is served${by}`);
}
