import type { ServerResponse } from "node:http";

import type { Durable, UpstreamCallStart } from "../../durable/index.ts";
import type { UpstreamAnswer } from "../../store/index.ts";
import type { Exchange } from "../exchange.ts";
import { keyInProgress, keyReused } from "../idempotency-refusals.ts";
import { plainAnswer, type Outgoing } from "../outgoing.ts";
import type { AnswerTurn, RelayKeys, SelfWritten } from "../relay.ts";
import type { Stage } from "../stage.ts";

/**
 * The stage that records a keyed request to an upstream before it is sent, and answers one whose key is
 * known already.
 */
export function upstreamCall(durable: Pick<Durable, "upstreamCalls">): Stage {
  return function upstreamCallOn(route) {
    const keys = route?.relay?.keys;
    if (keys === undefined || route?.idempotency === "none") return undefined;
    return {
      async enter(exchange) {
        const { idempotencyKey } = exchange;
        if (idempotencyKey === undefined) return;
        const start = await durable.upstreamCalls.begin(idempotencyKey, keys.areKnown);
        if (start.outcome === "claimed") exchange.upstreamCall = start.call;
        else exchange.answer = known(exchange, start, keys);
      },
    };
  };
}

function known(
  { route }: Exchange,
  start: Exclude<UpstreamCallStart, { outcome: "claimed" }>,
  keys: RelayKeys,
): Outgoing {
  switch (start.outcome) {
    case "in_flight":
      throw keyInProgress();
    case "mismatch":
      throw keyReused();
    case "unknown":
      throw keys.unknownOutcome();
    case "answered": {
      const { answer } = plainAnswer(start.answer.status);
      const selfWritten = new ReplayedAnswer(start.answer, route?.auth !== "none");
      return { answer, seq: undefined, isReplay: true, selfWritten };
    }
  }
}

/** An upstream's recorded answer. */
class ReplayedAnswer implements SelfWritten {
  readonly #answer: UpstreamAnswer;
  readonly #isPersonal: boolean;

  constructor(answer: UpstreamAnswer, isPersonal: boolean) {
    this.#answer = answer;
    this.#isPersonal = isPersonal;
  }

  write(response: ServerResponse, own: readonly string[], isLast: boolean, turn: AnswerTurn): void {
    const { status, fields, body } = this.#answer;
    const names = new Set(own.filter((_, index) => index % 2 === 0));
    const headers = fieldsWithout(fields, names);
    headers.push(...own, "idempotent-replayed", "true");
    const isSaid = names.has("cache-control") || fields.includes("cache-control");
    if (this.#isPersonal && !isSaid) headers.push("cache-control", "no-store");
    const hasBody = status !== 204 && status !== 304;
    if (hasBody) headers.push("content-length", String(body.length));
    if (isLast) headers.push("connection", "close");
    response.writeHead(status, headers);
    turn.add(() => void (hasBody ? response.end(body) : response.end()));
  }
}

function fieldsWithout(fields: readonly string[], names: ReadonlySet<string>): string[] {
  const left: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    if (!names.has(name)) left.push(name, fields[index + 1] ?? "");
  }
  return left;
}
