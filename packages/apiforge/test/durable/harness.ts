import { hash } from "node:crypto";
import { recordingLog, until, type ManualClock, type RecordingLog } from "@apiforge/testing";
import type { OpenStore, StoreFixture } from "@apiforge/testing/contracts";
import {
  createDurable,
  type Answer,
  type Durable,
  type DurableOptions,
  type Transaction,
  type WriteRequest,
} from "../../src/durable/index.ts";
import { ApiForgeError } from "../../src/kernel/index.ts";
import type { JobRecord, Store } from "../../src/store/index.ts";

/** What a test may say about its durable core; the harness brings the rest. */
export interface NodeOptions extends Partial<Omit<DurableOptions, "log">> {
  readonly clock?: ManualClock;
}

/** One durable core over a store, as one process has it. */
export interface Node {
  readonly durable: Durable;
  readonly clock: ManualClock;
  readonly log: RecordingLog;
}

/** A store, and the durable cores that a test puts over it. All are stopped in the end. */
export class Harness implements AsyncDisposable {
  readonly open: OpenStore;
  readonly #nodes = new Set<Node>();
  #calls = 0;

  private constructor(open: OpenStore) {
    this.open = open;
  }

  static async open(fixture: StoreFixture): Promise<Harness> {
    return new Harness(await fixture.open());
  }

  get store(): Store {
    return this.open.store;
  }

  /** Makes a core that is not started. By default it lives by the store's clock and draws 0 at random. */
  node(options: NodeOptions = {}): Node {
    const log = recordingLog();
    const { store = this.open.store, clock = this.open.clock } = options;
    const durable = createDurable({
      jobs: [],
      consumers: [],
      clock,
      random: () => 0,
      ...options,
      store: this.#counted(store),
      log,
    });
    const node = { durable, clock, log };
    this.#nodes.add(node);
    return node;
  }

  /** Makes and starts a core. */
  async started(options: NodeOptions = {}): Promise<Node> {
    const node = this.node(options);
    await node.durable.start();
    await this.idle();
    return node;
  }

  /** Waits until no core asks anything of the store: each waits for the clock, a commit or a handler. */
  async idle(): Promise<void> {
    let quiet = 0;
    await until("the store to be left alone", () => {
      quiet = this.#calls === 0 ? quiet + 1 : 0;
      return quiet > 3;
    });
  }

  /**
   * Moves the time and waits for what follows from it, second by second: a call to the store that
   * begins on the way takes no time, and is not to be cut off by the end of a long jump.
   */
  async advance(ms: number): Promise<void> {
    await this.idle();
    for (let left = ms; left > 0; left -= 1_000) {
      await this.open.advance(Math.min(left, 1_000));
      await this.idle();
    }
  }

  /** The job that was put in last but `back`. */
  async job(back = 0): Promise<JobRecord> {
    const jobs = await this.store.jobs.list({ limit: back + 1 });
    const job = jobs[back];
    if (job === undefined) throw new Error("There is no such job");
    return job;
  }

  /** What {@link effects} has left behind. */
  async effects(): Promise<{ notes: number; events: number; jobs: number }> {
    const [row] = await this.store.read("count", (reader) =>
      reader.query({ texts: ["select count(*) as notes from note"], values: [] }),
    );
    return {
      notes: Number(row?.["notes"]),
      events: (await this.store.events.read(0, 1_000)).length,
      jobs: (await this.store.jobs.list({ limit: 1_000 })).length,
    };
  }

  /** Ends `node` as kill -9 would: it asks nothing of the store any more and gives nothing back. */
  forget(node: Node): void {
    this.#nodes.delete(node);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { durable, clock } of this.#nodes) {
      let isStopped = false;
      const stopped = durable.stop(0).finally(() => (isStopped = true));
      // Handlers that a test has left waiting are given the time that a stop allows them.
      await until("a core to stop", async () => {
        if (!isStopped) clock.advance(100);
        return isStopped;
      });
      await stopped;
    }
    await this.open[Symbol.asyncDispose]();
  }

  /** `target`, whose calls are counted while they are under way. */
  #counted<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const value: unknown = Reflect.get(object, name, object);
        if (typeof value === "function") {
          return (...values: unknown[]) => this.#count(Reflect.apply(value, object, values));
        }
        return typeof value === "object" && value !== null ? this.#counted(value) : value;
      },
    });
  }

  #count(result: unknown): unknown {
    if (!(result instanceof Promise)) return result;
    this.#calls += 1;
    const over = (): void => {
      this.#calls -= 1;
    };
    result.then(over, over);
    return result;
  }
}

/** On whose behalf tests act. */
export const actor = { tenant: "ten_1", requestId: "req_1" };

/** 16 bytes that stand for `text`. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(hash("sha256", text), "hex").subarray(0, 16);
}

/** An answer of `status` with a JSON body. */
export function answer(status: number, body: unknown = { status }): Answer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** An error that {@link write} answers by its status. */
export function refusal(status: number): ApiForgeError {
  const definition = { type: "conflict_error", status, retryable: false } as const;
  return new ApiForgeError("refused", definition, "Refused");
}

/** A writing request as the edge makes it: errors of status 4xx are answers, all others are failures. */
export function write(
  key: string | undefined,
  run: (tx: Transaction) => Promise<Answer>,
  content = "content",
): WriteRequest {
  return {
    label: "POST /things",
    ...actor,
    idempotency:
      key === undefined ? undefined : { key, digest: bytesOf(key), fingerprint: bytesOf(content) },
    run,
    refuse: (error) =>
      ApiForgeError.is(error) && error.status < 500 ? answer(error.status) : undefined,
  };
}
