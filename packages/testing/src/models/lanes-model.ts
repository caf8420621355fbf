import type { JobLane } from "apiforge/internal/store";

/** A lane as the model knows it; what runs and waits in it is counted from the jobs. */
export interface ModelLane {
  readonly queue: string;
  readonly key: string;
  concurrency: number;
  spacingUs: number;
  nextAtUs: number;
  /** Set aside until {@link nextAtUs} has come and a claim has looked. */
  resting: boolean;
  paused: boolean;
}

/** Lanes and pauses. */
export class LanesModel {
  readonly pausedQueues = new Set<string>();
  readonly #lanes = new Map<string, ModelLane>();

  enter(queue: string, { key, concurrency, spacingUs, ordered }: JobLane): void {
    const limit = ordered ? 1 : (concurrency ?? Number.POSITIVE_INFINITY);
    Object.assign(this.get(queue, key), { concurrency: limit, spacingUs });
  }

  get(queue: string, key: string): ModelLane {
    const name = `${queue}/${key}`;
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const limits = { concurrency: Number.POSITIVE_INFINITY, spacingUs: 0 };
    const lane = { queue, key, ...limits, nextAtUs: 0, resting: false, paused: false };
    this.#lanes.set(name, lane);
    return lane;
  }

  of(queue: string): readonly ModelLane[] {
    return [...this.#lanes.values()].filter((lane) => lane.queue === queue);
  }

  /** Lets the lane hand out nothing before `untilMs`. */
  rest(queue: string, key: string | null, untilMs: number, nowMs: number): void {
    const lane = this.get(queue, key ?? "");
    lane.nextAtUs = Math.max(lane.nextAtUs, untilMs * 1_000);
    if (untilMs > nowMs) lane.resting = true;
  }

  wake(nowMs: number): void {
    for (const lane of this.#lanes.values()) {
      if (lane.nextAtUs <= nowMs * 1_000) lane.resting = false;
    }
  }

  wakeTimes(): readonly number[] {
    const resting = [...this.#lanes.values()].filter((lane) => lane.resting);
    return resting.map((lane) => Math.ceil(lane.nextAtUs / 1_000));
  }

  pause(queue: string, key: string | null): void {
    if (key === null) this.pausedQueues.add(queue);
    else this.get(queue, key).paused = true;
  }

  resume(queue: string, key: string | null): boolean {
    if (key === null) return this.pausedQueues.delete(queue);
    const lane = this.get(queue, key);
    const wasPaused = lane.paused;
    lane.paused = false;
    return wasPaused;
  }
}
