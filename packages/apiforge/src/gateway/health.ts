import type { Clock, Timer } from "../kernel/index.ts";
import { GrpcProbe } from "./grpc/health-probe.ts";
import { HttpProbe, type HealthProbe, type ProbeConnection } from "./health-probe.ts";

/** In what rhythm an endpoint is asked, and what counts. */
export interface HealthRhythm {
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

/** Asks by a GET. */
export interface HttpHealthOptions extends HealthRhythm {
  /** What is asked, with the endpoint's own path in front of it; well is what answers 200 to 299. */
  readonly path: string;
}

/** Asks by the health checking protocol of gRPC: `grpc.health.v1.Health/Check`, over HTTP/2. */
export interface GrpcHealthOptions extends HealthRhythm {
  /** Full name of the service that is asked about, or an empty text for the whole server; well is what says SERVING. */
  readonly service: string;
}

/** Asks an endpoint in a steady rhythm whether it is well, whatever requests it gets. */
export type HealthOptions = HttpHealthOptions | GrpcHealthOptions;

const spread = 0.2;

/** Knows whether one endpoint is well; it is until it has shown otherwise. */
export class Health {
  readonly #clock: Clock;
  readonly #options: HealthOptions & Required<HealthRhythm>;
  readonly #basePath: string;
  #probe: HealthProbe | undefined;
  #timer: Timer | undefined;
  #isWell = true;
  /** Answers in a row that speak against what is held. */
  #against = 0;

  /** @param basePath of the endpoint, in front of what is asked. */
  constructor(basePath: string, clock: Clock, options: HealthOptions) {
    this.#basePath = basePath;
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
  start(connection: ProbeConnection): void {
    this.#probe = this.#probeOver(connection);
    void this.#ask(this.#probe);
  }

  /** Asks over new connections from now on, if it asks at all. */
  reconnect(connection: ProbeConnection): void {
    const probe = this.#probe;
    if (probe === undefined) return;
    this.#timer?.cancel();
    this.start(connection);
    void probe.close();
  }

  /** Asks no more. What it has found out stays. */
  async stop(): Promise<void> {
    const probe = this.#probe;
    this.#probe = undefined;
    this.#timer?.cancel();
    await probe?.close();
  }

  #probeOver(connection: ProbeConnection): HealthProbe {
    const basePath = this.#basePath;
    const options = this.#options;
    if ("path" in options) return new HttpProbe(connection, basePath + options.path);
    const { service, timeoutMs } = options;
    return new GrpcProbe(connection, { basePath, service, timeoutMs });
  }

  async #ask(probe: HealthProbe): Promise<void> {
    const { intervalMs, random } = this.#options;
    const isGood = await this.#answersWell(probe);
    if (this.#probe !== probe) return;
    this.#learn(isGood);
    const delayMs = intervalMs * (1 + spread * (random() - 0.5));
    this.#timer = this.#clock.after(delayMs, () => void this.#ask(probe));
  }

  async #answersWell(probe: HealthProbe): Promise<boolean> {
    const late = new AbortController();
    const timer = this.#clock.after(this.#options.timeoutMs, () => late.abort());
    try {
      return await probe.ask(late.signal);
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
