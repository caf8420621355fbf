import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { describeMachine } from "../measure/machine.ts";
import { describeVersions } from "../measure/versions.ts";
import { postgresSettings } from "../post/postgres.ts";
import { serviceVersions } from "../post/service-versions.ts";
import type { Answer, Assignment, Question } from "./measurement.ts";
import { writeSlice } from "./slices.ts";
import { jobTable, type JobRun } from "./summary.ts";
import { jobTargets, type JobTarget } from "./targets.ts";

const { values: settings } = parseArgs({
  options: {
    targets: { type: "string", default: jobTargets.map(({ name }) => name).join(",") },
    concurrency: { type: "string", default: "1,32,256" },
    rounds: { type: "string", default: "2" },
    waiting: { type: "string", default: "1000000" },
    samples: { type: "string", default: "200" },
    questions: { type: "string", default: "throughput,waiting,latency" },
    /** Adds to the day's file instead of replacing it. */
    add: { type: "boolean", default: false },
  },
});

const child = fileURLToPath(new URL("child.ts", import.meta.url));
const waitingConcurrency = 32;
const latencyConcurrency = 32;
/** One job at a time is slow everywhere but with batches. */
const serialShare = 4;

const startedAt = new Date().toISOString();
const chosen = chooseTargets(settings.targets);
const runs: JobRun[] = [];
for (let round = 1; round <= Number(settings.rounds); round++) {
  for (const name of settings.questions.split(",")) {
    for (const concurrency of concurrencies(name)) {
      for (const target of chosen) {
        const question = questionFor(name, target, concurrency);
        const answer = await ask(target, concurrency, question);
        runs.push({ target: target.name, question: name, concurrency, round, ...answer });
        console.error(`round ${round} ${name} c=${concurrency} ${target.name}: ${shown(answer)}`);
      }
    }
  }
}
const { result, file } = writeSlice(
  {
    setting: {
      postgresSettings,
      versions: {
        ...describeVersions(["bullmq", "pg-boss", "graphile-worker", "pg", "ioredis"]),
        ...serviceVersions(),
      },
    },
    durability: Object.fromEntries(chosen.map((target) => [target.name, target.durability])),
    slice: { startedAt, settings, machine: describeMachine() },
    runs,
  },
  settings.add,
);
const measured = jobTargets.filter(({ name }) => name in result.durability);
console.log(`${jobTable(result.runs, measured)}\n\nRaw results: ${file}`);

function chooseTargets(names: string): readonly JobTarget[] {
  return names.split(",").map((name) => {
    const target = jobTargets.find((known) => known.name === name);
    if (target === undefined) throw new Error(`There is no target ${name}.`);
    return target;
  });
}

function concurrencies(question: string): readonly number[] {
  if (question === "throughput") return settings.concurrency.split(",").map(Number);
  return [question === "waiting" ? waitingConcurrency : latencyConcurrency];
}

function questionFor(name: string, target: JobTarget, concurrency: number): Question {
  switch (name) {
    case "throughput":
      return {
        kind: "throughput",
        jobs: concurrency === 1 ? target.jobs / serialShare : target.jobs,
      };
    case "waiting":
      return { kind: "waiting", jobs: target.jobs, waiting: Number(settings.waiting) };
    case "latency":
      return { kind: "latency", samples: Number(settings.samples) };
    default:
      throw new Error(`There is no question ${name}.`);
  }
}

async function ask(target: JobTarget, concurrency: number, question: Question): Promise<Answer> {
  const store = await target.createStore();
  try {
    const assignment: Assignment = {
      engine: target.engine,
      store: store.address,
      concurrency,
      question,
    };
    const worker = fork(child, { execArgv: ["--conditions=@apiforge/source"] });
    worker.send(assignment);
    const [answer]: [Answer?] = await Promise.race([
      once(worker, "message") as Promise<[Answer]>,
      once(worker, "exit").then((): [] => []),
    ]);
    if (answer === undefined) throw new Error(`${target.name} ended without an answer.`);
    return answer;
  } finally {
    await store.dispose();
  }
}

function shown({ jobsPerSecond, startDelaysUs }: Answer): string {
  if (startDelaysUs.length === 0) return `${Math.round(jobsPerSecond)}/s`;
  const sorted = startDelaysUs.toSorted((left, right) => left - right);
  return `p50 ${((sorted[sorted.length >> 1] ?? 0) / 1_000).toFixed(2)} ms`;
}
