import { parseArgs } from "node:util";

import { readGatewayFile, runForge, serveGateway } from "../app/index.ts";
import { describeGateway, reportProblems } from "./gateway-report.ts";

/** `apiforge start [--config file]`: serves until a signal; 1 when something is wrong, and then nothing is started. */
export async function startCommand(args: readonly string[]): Promise<number | undefined> {
  const { values } = parseArgs({ args: [...args], options: { config: { type: "string" } } });
  const file = await readGatewayFile(values.config);
  if (file.gateway === undefined) {
    reportProblems(file);
    return 1;
  }
  console.log(describeGateway(file.path, file.gateway));
  await runForge(await serveGateway(file.gateway));
  return undefined;
}
