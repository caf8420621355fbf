import { parseArgs } from "node:util";

import { loadGatewayTools } from "../app/index.ts";
import { describeGateway, reportProblems } from "./gateway-report.ts";

/** `apiforge check [--config file] [--json]`: 0 when all is well, 1 when something is wrong. */
export async function checkCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: "string" }, json: { type: "boolean", default: false } },
  });
  const { readGatewayFile } = await loadGatewayTools();
  const file = await readGatewayFile(values.config);
  if (values.json)
    console.log(JSON.stringify({ file: file.path, problems: file.problems }, null, 2));
  else if (file.gateway === undefined) reportProblems(file);
  else console.log(describeGateway(file.path, file.gateway));
  return file.problems.length === 0 ? 0 : 1;
}
