import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";

import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import type { ScenarioReport } from "./scenario.ts";

const run = promisify(execFile);
const scenario = fileURLToPath(new URL("scenario.ts", import.meta.url));
const scenarios = ["in memory", "written", "leased"] as const;

const { values } = parseArgs({
  options: {
    checks: { type: "string", default: "1000000" },
    subjects: { type: "string", default: "1000,1000000" },
  },
});
const results = [];
for (const name of scenarios) {
  for (const subjects of values.subjects.split(",")) {
    // A caller's first request waits for its first block: that is a measurement of the store.
    if (name === "leased" && Number(subjects) > Number(values.checks) / 10) continue;
    const { stdout } = await run(process.execPath, [
      ...["--conditions=@apiforge/source", "--expose-gc", scenario],
      ...[name, subjects, values.checks],
    ]);
    const report = JSON.parse(stdout) as ScenarioReport;
    results.push({ scenario: name, subjects: Number(subjects), ...report });
    console.table(results.slice(-1));
  }
}
writeResult("limits", { machine: describeMachine(), settings: values, results });
