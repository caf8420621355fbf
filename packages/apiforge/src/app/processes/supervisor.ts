import type { Clock, Log, Metric, Timer } from "../../kernel/index.ts";
import { backoffDelayMs, exponential } from "../../resilience/index.ts";
import { describeEnding, type Ending, type Fork, type Forked } from "./forked.ts";

/** Until a new process has to serve: migrations of a large database take their time. */
const startWithinMs = 120_000;
/** Idle connections of one that drains end within 75 s, what is then under way within 20 s. */
const drainWithinMs = 120_000;
/** Requests have 10 s, then jobs as long. */
const stopWithinMs = 30_000;
/** A process that has served for so long did not fail by starting. */
const steadyMs = 60_000;
/** So many ends in a row are no accident. */
const loopEnds = 5;
const respawn = exponential("250ms", { max: "30s" });

/** What a supervisor works with. */
export interface SupervisorParts {
  readonly count: number;
  readonly fork: Fork;
  readonly clock: Clock;
  readonly log: Log;
  readonly random?: () => number;
}

/** The place of one of the processes, which one after the other takes. */
interface Place {
  process: Forked | undefined;
  /** Ends in a row of processes that did not serve for long. */
  failures: number;
  /** Until the next one is started. */
  timer: Timer | undefined;
}

/** What a start came to. */
export type Started =
  | { readonly url: string }
  /** The first process ended before it served. */
  | { readonly ending: Ending };

type State = "starting" | "serving" | "draining";

/** Keeps a number of processes running, and replaces them one after the other. */
export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #places: readonly Place[];
  readonly #states = new Map<Forked, State>();
  readonly #counts = { ends: 0, done: 0, failed: 0 };
  #forked = 0;
  #isStopping = false;
  #restart: Promise<void> | undefined;
  #isWantedAgain = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#places = Array.from({ length: parts.count }, () => ({
      process: undefined,
      failures: 0,
      timer: undefined,
    }));
  }

  /** Processes that serve, those that drain among them. */
  get serving(): readonly Forked[] {
    return [...this.#states].flatMap(([forked, state]) => (state === "starting" ? [] : forked));
  }

  /** Starts the first process alone, which applies migrations, then the others. Resolves when each serves or has ended. */
  async start(): Promise<Started> {
    const [first, ...others] = this.#places;
    if (first === undefined) throw new RangeError("A supervisor has at least one process");
    const forked = this.#fork();
    const url = await forked.serving;
    if (url === undefined) return { ending: await forked.ended };
    this.#take(first, forked);
    await Promise.all(others.map((place) => this.#fill(place)));
    return { url };
  }

  /** Replaces all processes one after the other; once more from the beginning when that is under way. */
  restart(): void {
    if (this.#isStopping) return;
    if (this.#restart !== undefined) {
      this.#isWantedAgain = true;
      return;
    }
    this.#restart = this.#replaceAll().finally(() => {
      this.#restart = undefined;
      if (!this.#isWantedAgain) return;
      this.#isWantedAgain = false;
      this.restart();
    });
  }

  /** Ends all processes in order; resolves with whether all did. */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    for (const { timer } of this.#places) timer?.cancel();
    const { clock } = this.#parts;
    const endings = [...this.#states].map(([forked, state]) => {
      // What does not serve yet has nothing to end in order, and may not listen.
      if (state === "starting") forked.kill("SIGTERM");
      else forked.end("stop");
      return { ended: forked.ended, isInOrder: state !== "starting" };
    });
    const timer = clock.after(stopWithinMs, () => this.kill());
    const codes = await Promise.all(endings.map(({ ended }) => ended));
    timer.cancel();
    return codes.every(({ code }, index) => code === 0 || endings[index]?.isInOrder === false);
  }

  /** Ends all processes at once. */
  kill(): void {
    this.#isStopping = true;
    for (const forked of this.#states.keys()) forked.kill("SIGKILL");
  }

  /** What it tells of itself. */
  metrics(): readonly Metric[] {
    const states = [...this.#states.values()];
    const { ends, ...restarts } = this.#counts;
    return [
      {
        name: "apiforge_processes",
        help: "Processes of the supervisor by state.",
        type: "gauge",
        samples: (["starting", "serving", "draining"] as const).map((state) => ({
          labels: { state },
          value: states.filter((each) => each === state).length,
        })),
      },
      {
        name: "apiforge_process_ends_total",
        help: "Processes that ended without being asked to.",
        type: "counter",
        samples: [{ value: ends }],
      },
      {
        name: "apiforge_rolling_restarts_total",
        help: "Restarts of all processes, by what became of them.",
        type: "counter",
        samples: Object.entries(restarts).map(([outcome, value]) => ({
          labels: { outcome },
          value,
        })),
      },
    ];
  }

  /** A process in the state `starting`, which is none of a place yet. */
  #fork(): Forked {
    const { fork, clock } = this.#parts;
    this.#forked += 1;
    const forked = fork(this.#forked);
    this.#states.set(forked, "starting");
    const timer = clock.after(startWithinMs, () => forked.kill("SIGKILL"));
    void forked.serving.then((url) => {
      timer.cancel();
      if (url !== undefined) this.#states.set(forked, "serving");
    });
    void forked.ended.then(() => this.#states.delete(forked));
    return forked;
  }

  /** Has `place` be that of `forked`, which serves, until it ends. */
  #take(place: Place, forked: Forked): void {
    const { clock, log } = this.#parts;
    place.timer?.cancel();
    place.process = forked;
    const { number, pid } = forked;
    const servedAt = clock.now();
    log.info({ process: number, pid }, "the process serves");
    void forked.ended.then((ending) => {
      if (place.process !== forked || this.#isStopping) return;
      if (clock.now() - servedAt >= steadyMs) place.failures = 0;
      this.#lost(place, forked, ending);
    });
  }

  /** Starts a process for an empty place. */
  async #fill(place: Place): Promise<void> {
    const forked = this.#fork();
    place.process = forked;
    if ((await forked.serving) !== undefined) {
      if (place.process === forked) this.#take(place, forked);
      return;
    }
    const ending = await forked.ended;
    if (place.process === forked && !this.#isStopping) this.#lost(place, forked, ending);
  }

  /** Says that the process of `place` ended by itself, and starts another one after a while. */
  #lost(place: Place, { number, pid }: Forked, ending: Ending): void {
    const { clock, log, random } = this.#parts;
    place.process = undefined;
    place.failures += 1;
    this.#counts.ends += 1;
    const delayMs = backoffDelayMs(respawn, place.failures, random);
    const fields = {
      process: number,
      pid,
      ending: describeEnding(ending),
      inARow: place.failures,
      delayMs,
    };
    if (place.failures < loopEnds) log.warn(fields, "a process ended; another one is started");
    else log.error(fields, "processes end again and again; another one is started");
    place.timer = clock.after(delayMs, () => void this.#fill(place));
  }

  async #replaceAll(): Promise<void> {
    const { log, count } = this.#parts;
    log.info({ of: count }, "all processes are to be replaced, one after the other");
    let replaced = 0;
    for (const place of this.#places) {
      if (this.#isStopping) return;
      const next = this.#fork();
      if ((await next.serving) === undefined) {
        const ending = describeEnding(await next.ended);
        if (this.#isStopping) return;
        this.#counts.failed += 1;
        const fields = { process: next.number, pid: next.pid, ending, replaced, of: count };
        log.error(fields, "a new process did not come up; those that serve go on");
        return;
      }
      const before = place.process;
      place.failures = 0;
      this.#take(place, next);
      if (before !== undefined) await this.#drain(before);
      replaced += 1;
    }
    this.#counts.done += 1;
    log.info({ replaced, of: count }, "all processes are replaced");
  }

  /** Has a process end that has given up its place. */
  async #drain(forked: Forked): Promise<void> {
    const { clock, log } = this.#parts;
    const { number, pid } = forked;
    if (this.#states.get(forked) === "starting") forked.kill("SIGTERM");
    else {
      this.#states.set(forked, "draining");
      forked.end("drain");
    }
    const timer = clock.after(drainWithinMs, () => forked.kill("SIGKILL"));
    const ending = await forked.ended;
    timer.cancel();
    const fields = { process: number, pid, ending: describeEnding(ending) };
    if (ending.code === 0) log.info(fields, "the process has drained");
    else log.warn(fields, "the process did not drain in order");
  }
}
