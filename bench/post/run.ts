import { parseArgs } from "node:util";
import { describeMachine } from "../measure/machine.ts";
import { writeResult } from "../measure/results.ts";
import { describeVersions } from "../measure/versions.ts";
import { measureTarget, type TargetRun } from "./measure-target.ts";
import { postgresSettings } from "./postgres.ts";
import { serviceVersions } from "./service-versions.ts";
import { legend, lossLines, summaryTable } from "./summary.ts";
import { chooseTargets } from "./targets/index.ts";

const { values: settings } = parseArgs({
  options: {
    targets: {
      type: "string",
      default: "peer,peer-tuned,peer-redis-always,apiforge-sqlite,apiforge-postgres",
    },
    connections: { type: "string", default: "1,64,256" },
    seconds: { type: "string", default: "10" },
    "warm-up-seconds": { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    workers: { type: "string", default: "off" },
    "postgres-connections": { type: "string", default: "20" },
  },
});

const workers = onOrOff(settings.workers);
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
          workers,
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
// With workers it is another question, whose result of the same day stands beside the first.
const file = writeResult(workers ? "post-workers" : "post", {
  settings,
  postgresSettings,
  targets: Object.fromEntries(chosen.map((target) => [target.name, target.description])),
  durability: Object.fromEntries(chosen.map((target) => [target.name, target.durability])),
  machine: describeMachine(),
  versions: {
    ...describeVersions(["fastify", "pg", "ioredis", "bullmq", "@fastify/jwt"]),
    ...serviceVersions(),
  },
  runs,
});
console.log(
  [summaryTable(runs), legend(chosen), lossLines(runs), `Raw results: ${file}`].join("\n\n"),
);
const broken = runs.filter((run) => run.missingEffects > 0);
if (broken.length > 0) {
  console.error(`${broken.length} runs answered requests whose rows are missing.`);
  process.exitCode = 1;
}

function onOrOff(value: string): boolean {
  if (value !== "on" && value !== "off") throw new Error("--workers must be on or off.");
  return value === "on";
}
