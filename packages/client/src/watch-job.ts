import { ApiError, answerInvalid, isRetryable } from "./api-error.ts";
import { call } from "./call.ts";
import { sleep } from "./clock.ts";
import { readEvents } from "./events.ts";
import { besideStatus, hasEnded, isJobStatus, type JobStatus } from "./job.ts";
import type { Settings } from "./settings.ts";

/** How a job is watched. */
export interface WatchOptions {
  /** Stops the watch; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Told about failures that the watch survives, such as a network that is away. */
  readonly onTrouble?: (error: ApiError) => void;
}

/** A status with its JSON, which tells whether it differs. */
interface Snapshot {
  readonly text: string;
  readonly job: JobStatus;
}

const firstPollMs = 500;
const lastPollMs = 10_000;
const pollGrowth = 1.5;

/** The statuses of a job, each that differs from the one before, until its last. */
export async function* watchJob(
  settings: Settings,
  statusUrl: string,
  options: WatchOptions,
): AsyncGenerator<JobStatus, void, undefined> {
  let last = "";
  for await (const { text, job } of snapshots(settings, statusUrl, options)) {
    if (text !== last) yield job;
    last = text;
    if (hasEnded(job)) return;
  }
}

async function* snapshots(
  settings: Settings,
  statusUrl: string,
  options: WatchOptions,
): AsyncGenerator<Snapshot, void, undefined> {
  yield await askUntilTold(settings, statusUrl, options);
  yield* told(settings, statusUrl, options);
  yield* polled(settings, statusUrl, options);
}

/** What the job's events tell; ends when there are none, or none any more. */
async function* told(
  settings: Settings,
  statusUrl: string,
  options: WatchOptions,
): AsyncGenerator<Snapshot, void, undefined> {
  const { signal } = options;
  const eventsUrl = besideStatus(statusUrl, "events");
  try {
    for await (const { data } of readEvents(settings, eventsUrl, { signal })) {
      const snapshot = snapshotOf(data);
      // An event that is no status still says that there is a new one, and the last status may
      // hold more than an event does.
      const isEnough = snapshot !== undefined && !hasEnded(snapshot.job);
      yield isEnough ? snapshot : await askUntilTold(settings, statusUrl, options);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isRetryable(error)) options.onTrouble?.(error);
  }
}

async function* polled(
  settings: Settings,
  statusUrl: string,
  options: WatchOptions,
): AsyncGenerator<Snapshot, void, undefined> {
  let last = "";
  let waitMs = firstPollMs;
  for (;;) {
    const snapshot = await askUntilTold(settings, statusUrl, options);
    yield snapshot;
    waitMs = snapshot.text === last ? Math.min(waitMs * pollGrowth, lastPollMs) : firstPollMs;
    last = snapshot.text;
    await sleep(settings.clock, jittered(waitMs, settings), options.signal);
  }
}

/** Asks for the status until the server answers, however long it or the network is away. */
async function askUntilTold(
  settings: Settings,
  statusUrl: string,
  { signal, onTrouble }: WatchOptions,
): Promise<Snapshot> {
  for (;;) {
    try {
      const { body, ...answer } = await call(settings, "GET", statusUrl, { signal });
      if (isJobStatus(body)) return { text: JSON.stringify(body), job: body };
      throw answerInvalid("The answer is not the status of a job: it has no status", answer);
    } catch (error) {
      if (!(error instanceof ApiError) || !isRetryable(error)) throw error;
      onTrouble?.(error);
    }
    await sleep(settings.clock, jittered(lastPollMs, settings), signal);
  }
}

function snapshotOf(text: string): Snapshot | undefined {
  try {
    const job: unknown = JSON.parse(text);
    return isJobStatus(job) ? { text: JSON.stringify(job), job } : undefined;
  } catch {
    return undefined;
  }
}

/** Between half of it and all: clients that began together do not ask together. */
function jittered(waitMs: number, { random }: Settings): number {
  return Math.ceil(waitMs * (1 - random() / 2));
}
