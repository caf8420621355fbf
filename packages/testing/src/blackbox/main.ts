import { readFileSync } from "node:fs";

import { runChecks } from "./check.ts";
import { gateway, gatewayChecks, type GatewayInput } from "./gateway.ts";

// usage: node --conditions=@apiforge/source packages/testing/src/blackbox/main.ts GATEWAY.json
// Asks the gateway that the file describes (docs/reference/blackbox.md); exits with 1 when a check fails.

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("Name the file that describes the gateway");
const described: unknown = JSON.parse(readFileSync(file, "utf8"));
gateway.parse(described);
const outcomes = await runChecks(gatewayChecks(described as GatewayInput));
for (const { name, failure } of outcomes) {
  console.log(failure === undefined ? `ok      ${name}` : `FAILED  ${name}\n        ${failure}`);
}
const failed = outcomes.filter(({ failure }) => failure !== undefined);
console.log(`${outcomes.length - failed.length} of ${outcomes.length}`);
process.exitCode = failed.length === 0 ? 0 : 1;
