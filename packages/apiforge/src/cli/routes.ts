import { parseArgs } from "node:util";

import { loadGatewayTools, type RouteRow } from "../app/index.ts";
import { describeGateway, reportProblems } from "./gateway-report.ts";
import { table } from "./table.ts";

const allMethods = 5;

/** `apiforge routes [--config file] [--json]`: the route table. */
export async function routesCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { config: { type: "string" }, json: { type: "boolean", default: false } },
  });
  const { readGatewayFile, routeRows } = await loadGatewayTools();
  const file = await readGatewayFile(values.config);
  if (file.gateway === undefined) {
    reportProblems(file);
    return 1;
  }
  const rows = routeRows(file.gateway);
  if (values.json) console.log(JSON.stringify(rows, null, 2));
  else console.log(`${describeGateway(file.path, file.gateway)}\n\n${routeTable(rows)}`);
  return 0;
}

function routeTable(rows: readonly RouteRow[]): string {
  return table([
    ["METHODS", "PATH", "TO", "CALLER", "LIMITS"],
    ...rows.map(({ methods, path, backend, caller, limits }) => [
      methods.length === allMethods ? "all" : methods.join(" "),
      path,
      backend,
      caller,
      limits.join("; ") || "none",
    ]),
  ]);
}
