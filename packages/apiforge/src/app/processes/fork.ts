import cluster, { type Worker } from "node:cluster";

import type { Metric } from "../../kernel/index.ts";
import type { Ending, Fork, Forked } from "./forked.ts";
import { enveloped, isReport, processVariable } from "./messages.ts";
import type { Order, Question } from "./messages.ts";
import { closeUndelivered } from "./undelivered.ts";

/** What a supervisor answers its processes' questions with. */
export type AnswerQuestion = (question: Question) => unknown;

/** Starts processes of the program that this one runs, which listen on one address together. */
export function openFork(answer: AnswerQuestion): Fork {
  // Connections are handed out in turn, which is Node's default (but on Windows): left to the system, one of two
  // processes took 158 to 177 of 200 that came one by one, and keeps them. As JSON an infinite sample of a metric would arrive as null.
  cluster.setupPrimary({ serialization: "advanced" });
  return (number) => new ForkedWorker(number, answer);
}

class ForkedWorker implements Forked {
  readonly number: number;
  readonly serving: Promise<string | undefined>;
  readonly ended: Promise<Ending>;
  readonly #worker: Worker;
  readonly #measuring = new Map<number, (metrics: readonly Metric[] | undefined) => void>();
  #asked = 0;

  constructor(number: number, answer: AnswerQuestion) {
    this.number = number;
    this.#worker = cluster.fork({ [processVariable]: String(number) });
    closeUndelivered(this.#worker);
    const serving = Promise.withResolvers<string | undefined>();
    const ended = Promise.withResolvers<Ending>();
    this.serving = serving.promise;
    this.ended = ended.promise;
    this.#worker.on("message", (received) => {
      if (!isReport(received)) return;
      const report = received.apiforge;
      if (report.kind === "serving") serving.resolve(report.url);
      else if (report.kind === "measured") this.#settle(report.id, report.metrics);
      else void this.#answer(report.id, answer(report.question));
    });
    const end = (ending: Ending): void => {
      serving.resolve(undefined);
      ended.resolve(ending);
      for (const id of this.#measuring.keys()) this.#settle(id, undefined);
    };
    this.#worker.once("exit", (code, signal) => end({ code, signal: signal as Ending["signal"] }));
    // It could not be started; a message that could not be sent is followed by the exit.
    this.#worker.on("error", () => {
      if (this.pid === undefined) end({ code: null, signal: null });
    });
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  end(kind: "drain" | "stop"): void {
    this.#send({ kind });
  }

  kill(signal: NodeJS.Signals): void {
    this.#worker.process.kill(signal);
  }

  measure(): Promise<readonly Metric[] | undefined> {
    this.#asked += 1;
    const { promise, resolve } = Promise.withResolvers<readonly Metric[] | undefined>();
    this.#measuring.set(this.#asked, resolve);
    this.#send({ kind: "measure", id: this.#asked });
    return promise;
  }

  async #answer(id: number, value: unknown): Promise<void> {
    this.#send({ kind: "answer", id, value: await value });
  }

  #send(order: Order): void {
    if (this.#worker.isDead()) return;
    // One that ends meanwhile is noticed by its exit.
    this.#worker.send(enveloped(order), () => undefined);
  }

  #settle(id: number, metrics: readonly Metric[] | undefined): void {
    this.#measuring.get(id)?.(metrics);
    this.#measuring.delete(id);
  }
}
