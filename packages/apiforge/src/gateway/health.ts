import type { Client } from "undici";

import type { Clock, Timer } from "../kernel/index.ts";
import { loadUndici } from "./undici.ts";

/** Asks an endpoint in a steady rhythm whether it is well, whatever requests it gets. */
export interface HealthOptions {
  /** What is asked, with the endpoint's own path in front of it; well is what answers 200 to 299. */
  readonly path: string;
  /** Between two questions, 10 % more or less, so that servers do not ask in step; default 10,000 ms. */
  readonly intervalMs?: number;
  /** Until the whole answer has come; default 2,000 ms. */
  readonly timeoutMs?: number;
  /** Bad answers in a row after which an endpoint gets no requests; default 3. */
  readonly failures?: number;
  /** Good answers in a row after which it gets them again; default 2. */
  readonly successes?: number;
  /** From 0 up to 1, for the rhythm; default `Math.random`. */
  readonly random?: () => number;
}

const spread = 0.2;
/** Of an answer; what is longer is no answer to such a question. */
const maxBodyBytes = 65_536;

/** Knows whether one endpoint is well; it is until it has shown otherwise. */
export class Health {
  readonly #clock: Clock;
  readonly #options: Required<HealthOptions>;
  readonly #origin: string;
  #client: Client | undefined;
  #timer: Timer | undefined;
  #isWell = true;
  /** Answers in a row that speak against what is held. */
  #against = 0;

  /** @param origin with nothing behind the port. */
  constructor(origin: string, clock: Clock, options: HealthOptions) {
    this.#origin = origin;
    this.#clock = clock;
    this.#options = {
      intervalMs: 10_000,
      timeoutMs: 2_000,
      failures: 3,
      successes: 2,
      random: Math.random,
      ...options,
    };
  }

  get isWell(): boolean {
    return this.#isWell;
  }

  /** Begins to ask, at once. */
  start(connect: Client.Options): void {
    // A connection of its own: behind requests that wait for one of theirs it would be late.
    const { Client: UndiciClient } = loadUndici();
    this.#client = new UndiciClient(this.#origin, connect);
    void this.#ask(this.#client);
  }

  /** Asks over new connections from now on, if it asks at all. */
  reconnect(connect: Client.Options): void {
    const client = this.#client;
    if (client === undefined) return;
    this.#timer?.cancel();
    this.start(connect);
    void client.destroy();
  }

  /** Asks no more. What it has found out stays. */
  async stop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#timer?.cancel();
    await client?.destroy();
  }

  async #ask(client: Client): Promise<void> {
    const { intervalMs, random } = this.#options;
    const isGood = await this.#answersWell(client);
    if (this.#client !== client) return;
    this.#learn(isGood);
    const delayMs = intervalMs * (1 + spread * (random() - 0.5));
    this.#timer = this.#clock.after(delayMs, () => void this.#ask(client));
  }

  async #answersWell(client: Client): Promise<boolean> {
    const { path, timeoutMs } = this.#options;
    const late = new AbortController();
    const timer = this.#clock.after(timeoutMs, () => late.abort());
    try {
      const { statusCode, body } = await client.request({
        path,
        method: "GET",
        signal: late.signal,
      });
      await body.dump({ signal: late.signal, limit: maxBodyBytes });
      return statusCode >= 200 && statusCode < 300;
    } catch {
      return false;
    } finally {
      timer.cancel();
    }
  }

  #learn(isGood: boolean): void {
    this.#against = isGood === this.#isWell ? 0 : this.#against + 1;
    const { failures, successes } = this.#options;
    if (this.#against < (this.#isWell ? failures : successes)) return;
    this.#isWell = !this.#isWell;
    this.#against = 0;
  }
}
