import type { Metric } from "../../kernel/index.ts";
import { enveloped, isOrder, processVariable } from "./messages.ts";
import type { Order, Question, Report } from "./messages.ts";

/** What a process asks of one that it supervises when it is to end. */
export type EndOrder = Extract<Order, { readonly kind: "drain" | "stop" }>["kind"];

/** The end of the channel to the supervisor that a process has which was started by one. */
export class WorkerLink {
  /** Counted by the supervisor; no two of its processes have the same. */
  readonly number: number;
  readonly #send: (report: Report) => void;
  readonly #waiting = new Map<number, (value: unknown) => void>();
  #asked = 0;
  #measure: (() => Promise<readonly Metric[]>) | undefined;
  #onEnd: ((order: EndOrder) => void) | undefined;

  constructor(number: number, send: (report: Report) => void) {
    this.number = number;
    this.#send = send;
  }

  /** Takes what the supervisor sent. */
  receive(order: Order): void {
    switch (order.kind) {
      case "answer":
        this.#waiting.get(order.id)?.(order.value);
        this.#waiting.delete(order.id);
        break;
      case "measure":
        void this.#tellMetrics(order.id);
        break;
      case "drain":
      case "stop":
        this.#onEnd?.(order.kind);
        break;
    }
  }

  /** Says that requests are served at `url`. */
  serving(url: string): void {
    this.#send({ kind: "serving", url });
  }

  /** Has `end` called when the supervisor wants this process to end. */
  onEnd(end: (order: EndOrder) => void): void {
    this.#onEnd = end;
  }

  /** Has `read` called when somebody wants to know this process's metrics; the latest one counts. */
  offerMetrics(read: () => Promise<readonly Metric[]>): void {
    this.#measure = read;
  }

  /** The metrics of all processes of the supervisor. */
  async gatherMetrics(): Promise<readonly Metric[]> {
    return (await this.#ask({ kind: "metrics" })) as readonly Metric[];
  }

  /** The number of the revision that a configuration of this digest is, the same in all processes. */
  async revisionNumber(digest: string): Promise<number> {
    return Number(await this.#ask({ kind: "revision", digest }));
  }

  #ask(question: Question): Promise<unknown> {
    this.#asked += 1;
    const id = this.#asked;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    this.#send({ kind: "question", id, question });
    return promise;
  }

  async #tellMetrics(id: number): Promise<void> {
    this.#send({ kind: "measured", id, metrics: (await this.#measure?.()) ?? [] });
  }
}

let link: WorkerLink | undefined;

/** This process's link to its supervisor; undefined where it has none. */
export function workerLink(): WorkerLink | undefined {
  const number = process.env[processVariable];
  if (link !== undefined || number === undefined || process.send === undefined) return link;
  // Processes that this one starts are not the supervisor's.
  Reflect.deleteProperty(process.env, processVariable);
  const opening = new WorkerLink(Number(number), (report) => {
    // A supervisor that is gone is noticed by the end of the channel.
    process.send?.(enveloped(report), undefined, undefined, () => undefined);
  });
  process.on("message", (received) => {
    if (isOrder(received)) opening.receive(received.apiforge);
  });
  link = opening;
  return link;
}
