import type { ClaimedJob } from "apiforge/internal/store";
import type { JobsModel, ModelJob } from "./jobs-model.ts";
import type { ModelLane } from "./lanes-model.ts";

/** What a claim asks for. */
export interface ClaimWish {
  readonly queue: string;
  readonly owner: string;
  readonly limit: number;
  readonly keyedLimit: number;
}

/** How far ahead of its slot a job may be handed out. */
const horizonUs = 100_000;

/** Compares what a claim handed out with what it may hand out, and leases it in the model. */
export class ClaimCheck {
  readonly #model: JobsModel;
  readonly #wish: ClaimWish;
  #keyed = 0;

  constructor(model: JobsModel, wish: ClaimWish) {
    this.#model = model;
    this.#wish = wish;
  }

  /** What is wrong; undefined when all is right. */
  run(handedOut: readonly ClaimedJob[]): string | undefined {
    if (handedOut.length > this.#wish.limit) return "More than the limit";
    for (const claimed of handedOut) {
      const wrong = this.#take(claimed);
      if (wrong !== undefined) return `${claimed.id}: ${wrong}`;
    }
    if (this.#keyed > this.#wish.keyedLimit) return "More keyed jobs than their limit";
    this.#restServed();
    const room = this.#wish.limit - handedOut.length;
    return room > 0 ? this.#leftOver() : undefined;
  }

  #take(claimed: ClaimedJob): string | undefined {
    const job = this.#candidates().find(({ id }) => id === claimed.id);
    if (job === undefined) return "it is not there to be claimed";
    if (job.deaths > 0 && this.#holdsSuspect()) return "the owner holds another suspect";
    const wrong =
      job.key === null ? this.#checkReady(job, claimed) : this.#checkKeyed(job, claimed);
    if (wrong !== undefined) return wrong;
    if (claimed.attempt !== job.attempt + 1) return `it is attempt ${claimed.attempt}`;
    const deadlineInMs = job.deadlineAt === null ? null : job.deadlineAt - this.#model.now;
    if (claimed.deadlineInMs !== deadlineInMs) return `its deadline is ${claimed.deadlineInMs}`;
    this.#model.lease(job, this.#wish.owner, claimed);
    return undefined;
  }

  #checkReady(job: ModelJob, { startInMs }: ClaimedJob): string | undefined {
    const isSuspect = job.deaths > 0;
    const first = this.#ready().find(({ deaths }) => deaths > 0 === isSuspect);
    if (first !== job) return `${first?.id} comes first`;
    return startInMs === null ? undefined : `it starts in ${startInMs} ms`;
  }

  #checkKeyed(job: ModelJob, { startInMs }: ClaimedJob): string | undefined {
    this.#keyed += 1;
    const lane = this.#model.lanes.get(job.queue, job.key ?? "");
    const waiting = this.#waiting(lane);
    const first = job.ordered ? waiting[0] : waiting.find(({ deaths }) => deaths === job.deaths);
    if (job.ordered || job.deaths === 0 ? first !== job : false) return `${first?.id} comes first`;
    const wrong = this.#closed(lane);
    if (wrong !== undefined) return wrong;
    return this.#checkStart(lane, startInMs);
  }

  /** Slots follow one another by the spacing; so no window holds more of them than the limit. */
  #checkStart(lane: ModelLane, startInMs: number | null): string | undefined {
    const nowUs = this.#model.now * 1_000;
    const startUs = Math.max(lane.nextAtUs, nowUs);
    if (startUs >= nowUs + horizonUs) return "its slot is too far ahead";
    const expected = lane.spacingUs === 0 ? null : Math.ceil((startUs - nowUs) / 1_000);
    if (startInMs !== expected) return `it starts in ${startInMs} ms, not in ${expected}`;
    lane.nextAtUs = startUs + lane.spacingUs;
    return undefined;
  }

  /** A lane whose next start is yet to come is set aside once its share is handed out. */
  #restServed(): void {
    for (const lane of this.#model.lanes.of(this.#wish.queue)) {
      if (lane.nextAtUs > this.#model.now * 1_000) lane.resting = true;
    }
  }

  #closed(lane: ModelLane): string | undefined {
    if (this.#model.lanes.pausedQueues.has(lane.queue)) return "its queue is paused";
    if (lane.paused) return "its lane is paused";
    if (lane.resting) return "its lane rests";
    return this.#running(lane) < lane.concurrency ? undefined : "its lane is full";
  }

  /** A job that was not handed out though there was room for it. */
  #leftOver(): string | undefined {
    const { lanes } = this.#model;
    if (lanes.pausedQueues.has(this.#wish.queue)) return undefined;
    const mayTake = ({ deaths }: ModelJob): boolean => deaths === 0 || !this.#holdsSuspect();
    const left = this.#ready().find(mayTake);
    if (left !== undefined) return `${left.id} was left though there was room`;
    if (this.#keyed >= this.#wish.keyedLimit) return undefined;
    // The part of a lane's share that a suspect left unused is handed out by the next claim.
    if (this.#candidates().some(({ key, deaths }) => key !== null && deaths > 0)) return undefined;
    for (const lane of lanes.of(this.#wish.queue)) {
      const waiting = this.#waiting(lane);
      const [first] = waiting;
      if (first === undefined || this.#closed(lane) !== undefined) continue;
      if (lane.nextAtUs >= this.#model.now * 1_000 + horizonUs) continue;
      return `${first.id} was left though its lane was open`;
    }
    return undefined;
  }

  #candidates(): readonly ModelJob[] {
    return this.#model.jobs
      .filter(({ queue }) => queue === this.#wish.queue)
      .filter(({ state }) => state === "ready" || state === "waiting");
  }

  #ready(): readonly ModelJob[] {
    if (this.#model.lanes.pausedQueues.has(this.#wish.queue)) return [];
    return byPriority(this.#candidates().filter(({ key }) => key === null));
  }

  #waiting(lane: ModelLane): readonly ModelJob[] {
    return byPriority(this.#candidates().filter(({ key }) => key === lane.key));
  }

  #running(lane: ModelLane): number {
    const { jobs } = this.#model;
    return jobs.filter((job) => {
      return job.state === "running" && job.queue === lane.queue && job.key === lane.key;
    }).length;
  }

  #holdsSuspect(): boolean {
    return this.#model.jobs.some((job) => job.owner === this.#wish.owner && job.deaths > 0);
  }
}

// Sorting is stable, so that insertion decides between equals.
function byPriority(jobs: readonly ModelJob[]): readonly ModelJob[] {
  return jobs.toSorted((a, b) => a.priority - b.priority);
}
