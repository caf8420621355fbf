import type { Clock, Log, Timer } from "../../kernel/index.ts";
import type { JobStore, WorkerStore } from "../../store/index.ts";

/** How often a process says that it lives, and looks for those that do not. */
const heartbeatMs = 3_000;
/** Age of a heartbeat at which its process counts as dead: a crashed process's jobs run again within `expiryMs + heartbeatMs`. */
const expiryMs = 10_000;

/** What a keeper is made of. */
export interface LeaseKeeperParts {
  readonly workers: WorkerStore;
  readonly jobs: JobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly owner: string;
  /** Called when this process was declared dead: its leases belong to others now. */
  readonly onLost: () => void;
  /** Called when jobs of a dead process are ready again. */
  readonly onRecovered: () => void;
  /** Called with the running jobs of this process that are asked to be cancelled. */
  readonly onCancelled: (ids: readonly string[]) => void;
}

/** Keeps this process's leases and takes back those of dead ones. */
export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  #timer: Timer | undefined;
  #beating: Promise<void> | undefined;
  #stopped = true;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    await this.#parts.workers.register(this.#parts.owner);
    this.#schedule();
  }

  /** Gives up every lease that is still held. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#beating;
    try {
      await this.#parts.workers.unregister(this.#parts.owner);
    } catch (error) {
      this.#parts.log.warn({ error }, "leases could not be released; they end by themselves");
    }
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(heartbeatMs, () => {
      this.#beating = this.#beat().finally(() => this.#schedule());
    });
  }

  async #beat(): Promise<void> {
    const { workers, jobs, owner, log, onLost, onRecovered, onCancelled } = this.#parts;
    try {
      if (!(await workers.heartbeat(owner))) {
        log.error(
          { owner },
          "this process was taken for dead; its running jobs were given to others",
        );
        onLost();
        await workers.register(owner);
      }
      onCancelled(await jobs.cancelRequests(owner));
      const recovered = await workers.recoverExpired(expiryMs);
      if (recovered > 0) {
        log.warn({ recovered }, "jobs of a dead process are ready again");
        onRecovered();
      }
    } catch (error) {
      log.warn({ error }, "heartbeat failed; trying again");
    }
  }
}
