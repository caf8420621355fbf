import { basename } from "node:path";
import { parseArgs } from "node:util";

import {
  describeProblems,
  followFile,
  readGatewayFile,
  runForge,
  serveGateway,
  type Change,
} from "../app/index.ts";
import { describeGateway, reportProblems } from "./gateway-report.ts";

/**
 * `apiforge start [--config file]`: serves until a signal; 1 when something is wrong, and then nothing is started.
 * A changed file is taken up by itself or on SIGHUP, SIGUSR2 goes back to the configuration before.
 */
export async function startCommand(args: readonly string[]): Promise<number | undefined> {
  const { values } = parseArgs({ args: [...args], options: { config: { type: "string" } } });
  const file = await readGatewayFile(values.config);
  const { path, gateway: compiled, settings, digest, files } = file;
  if (compiled === undefined || path === undefined) {
    reportProblems(file);
    return 1;
  }
  console.log(describeGateway(path, compiled));
  const gateway = await serveGateway(compiled, settings, {}, digest);
  const tell = (change: Change): void => tellChange(basename(path), change);
  const followed = followFile(gateway, path, { files, onChange: tell });
  process.on("SIGHUP", () => void followed.reload());
  process.on("SIGUSR2", () => void gateway.rollback().then(tell));
  process.once("SIGTERM", () => followed.stop());
  process.once("SIGINT", () => followed.stop());
  await runForge(gateway);
  return undefined;
}

function tellChange(name: string, change: Change): void {
  if (change.outcome === "refused") console.error(describeProblems(change.problems, name));
  else console.log(`${name}: revision ${change.revision.id} is served`);
}
