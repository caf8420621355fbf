import { setTimeout as delay } from "node:timers/promises";
import type { Engine, OpenEngine } from "./engine.ts";
import type { Answer, Assignment } from "./measurement.ts";

const warmUpJobs = 2_000;
const sampleGapMs = 20;
const drainCheckMs = 5;

/** Counts the jobs that have run and wakes whoever waits for a count. */
class Runs {
  count = 0;
  #target = Number.POSITIVE_INFINITY;
  #reached: (() => void) | undefined;

  readonly add = (): void => {
    this.count += 1;
    if (this.count >= this.#target) this.#reached?.();
  };

  reach(target: number): Promise<void> {
    if (this.count >= target) return Promise.resolve();
    this.#target = target;
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }
}

/** Opens the engine, asks the question and closes it. */
export async function measureEngine(open: OpenEngine, assignment: Assignment): Promise<Answer> {
  const { store, concurrency, question } = assignment;
  const runs = new Runs();
  const engine = await open({ store, concurrency, onJob: runs.add });
  try {
    if (question.kind === "waiting") {
      await engine.addMany(question.waiting);
      return await timed(question.jobs, async () => {
        await engine.start();
        await runs.reach(question.jobs);
      });
    }
    await engine.start();
    await warmUp(engine, runs);
    if (question.kind === "latency") return await latencies(engine, runs, question.samples);
    return await timed(question.jobs, async () => {
      const target = runs.count + question.jobs;
      await engine.addMany(question.jobs);
      await runs.reach(target);
      await drained(engine);
    });
  } finally {
    await engine.close();
  }
}

async function warmUp(engine: Engine, runs: Runs): Promise<void> {
  const target = runs.count + warmUpJobs;
  await engine.addMany(warmUpJobs);
  await runs.reach(target);
  await drained(engine);
}

async function drained(engine: Engine): Promise<void> {
  while (!(await engine.isDrained())) await delay(drainCheckMs);
}

async function timed(jobs: number, work: () => Promise<void>): Promise<Answer> {
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return {
    jobsPerSecond: jobs / seconds,
    startDelaysUs: [],
    cpuUsPerJob: (user + system) / jobs,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
  };
}

async function latencies(engine: Engine, runs: Runs, samples: number): Promise<Answer> {
  const startDelaysUs: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    await delay(sampleGapMs);
    const started = runs.reach(runs.count + 1).then(() => performance.now());
    await engine.addOne();
    const durableAt = performance.now();
    startDelaysUs.push(Math.max(0, (await started) - durableAt) * 1_000);
  }
  return {
    jobsPerSecond: 0,
    startDelaysUs,
    cpuUsPerJob: 0,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
  };
}
