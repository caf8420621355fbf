import { parseArgs } from "node:util";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { describeVersions } from "../measure/versions.ts";
import { postgresSettings } from "../post/postgres.ts";
import { serviceVersions } from "../post/service-versions.ts";
import { chooseTargets } from "../post/targets/index.ts";
import { measureStartup, startupTable, type StartupRun } from "./measure-startup.ts";

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: "peer,apiforge-sqlite,apiforge-postgres" },
    rounds: { type: "string", default: "5" },
    "idle-seconds": { type: "string", default: "10" },
  },
});

const chosen = chooseTargets(settings.targets);
const runs: StartupRun[] = [];
for (let round = 1; round <= Number(settings.rounds); round++) {
  for (const target of chosen) {
    runs.push(await measureStartup(target, Number(settings["idle-seconds"])));
  }
}
const file = writeResult("startup", {
  settings,
  postgresSettings,
  machine: describeMachine(),
  versions: { ...describeVersions(["fastify", "pg"]), ...serviceVersions() },
  runs,
});
console.log(`${startupTable(runs)}\n\nRaw results: ${file}`);
