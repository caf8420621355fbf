import { parseArgs } from "node:util";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { describeVersions } from "../measure/versions.ts";
import { measureTarget, type TargetRun } from "./measure-target.ts";
import { serviceVersions } from "./service-versions.ts";
import { lossLine, summaryTable } from "./summary.ts";
import { chooseTargets } from "./targets/index.ts";

const { values: settings } = parseArgs({
  options: {
    targets: {
      type: "string",
      default: "peer,peer-redis-always,apiforge-sqlite,apiforge-postgres",
    },
    connections: { type: "string", default: "1,64,256" },
    seconds: { type: "string", default: "10" },
    "warm-up-seconds": { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    workers: { type: "string", default: "off" },
    "postgres-connections": { type: "string", default: "20" },
  },
});

const chosen = chooseTargets(settings.targets);
const runs: TargetRun[] = [];
for (const connections of settings.connections.split(",").map(Number)) {
  for (let round = 1; round <= Number(settings.rounds); round++) {
    for (const target of chosen) {
      const run = await measureTarget(target, {
        connections,
        seconds: Number(settings.seconds),
        warmUpSeconds: Number(settings["warm-up-seconds"]),
        server: {
          workers: settings.workers === "on",
          postgresConnections: Number(settings["postgres-connections"]),
        },
      });
      console.error(
        `c=${connections} round ${round} ${target.name}: ${Math.round(run.load.requestsPerSecond)}/s`,
      );
      runs.push(run);
    }
  }
}
const file = writeResult("post", {
  settings,
  durability: Object.fromEntries(chosen.map((target) => [target.name, target.durability])),
  machine: describeMachine(),
  versions: {
    ...describeVersions(["fastify", "pg", "ioredis", "bullmq", "@fastify/jwt"]),
    ...serviceVersions(),
  },
  runs,
});
console.log(`${summaryTable(runs)}\n\n${lossLine(runs)}\n\nRaw results: ${file}`);
const broken = runs.filter((run) => run.missingEffects > 0);
if (broken.length > 0) {
  console.error(`${broken.length} runs answered requests whose rows are missing.`);
  process.exitCode = 1;
}
