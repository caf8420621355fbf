import type { Exchange, Outgoing, Responder } from "../../edge/index.ts";
import { Attempt } from "../attempt.ts";
import { ShapedAnswer } from "../shaping-answer.ts";
import { conditions, type CachePlan } from "./cache-plan.ts";
import { validators, type Entry } from "./entry.ts";
import type { Intake } from "./intake.ts";

/** Asks the upstream anew for what has been answered from the cache (RFC 5861 section 3). Nobody waits for it. */
export class Refresh implements Responder {
  readonly #plan: CachePlan;
  readonly #exchange: Exchange;
  readonly #stored: Entry;
  readonly #intake: Intake;

  constructor(plan: CachePlan, exchange: Exchange, stored: Entry, intake: Intake) {
    this.#plan = plan;
    this.#exchange = exchange;
    this.#stored = stored;
    this.#intake = intake;
  }

  begin(): void {
    const fields = (this.#plan.validates ? validators(this.#stored) : undefined) ?? [];
    const changes = { without: conditions, fields, isDetached: true };
    this.#plan.call(this.#exchange, this, changes).begin();
  }

  answer(_exchange: Exchange, { selfWritten }: Outgoing): void {
    if (selfWritten instanceof ShapedAnswer) {
      const { status, fields, body } = selfWritten.reply;
      return void this.#intake.takeWhole(status, fields, Buffer.from(body));
    }
    if (!(selfWritten instanceof Attempt)) return this.#intake.end("failed");
    const { status, fields } = selfWritten;
    if (status === 304) return void this.#intake.renew(this.#stored, fields);
    const mayStandIn = status >= 500;
    if (mayStandIn) this.#intake.end("failed");
    else if (this.#intake.take(selfWritten)) return;
    else this.#plan.cache.store.remove(this.#stored);
    selfWritten.abandon();
  }

  refuse(): void {
    this.#intake.end("failed");
  }
}
