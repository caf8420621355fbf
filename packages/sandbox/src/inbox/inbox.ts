import { jsonAnswer, type Answer, type ReceivedRequest } from "../exchange.ts";
import { createFaultSwitch, wireFaults, type Fault } from "../faults.ts";
import { isRecord } from "../json-fields.ts";
import type { Provider, Reaction } from "../provider.ts";
import { createDeliveryLog } from "./deliveries.ts";
import { viewDeliveries } from "./view.ts";

/** What an inbox is called. */
export interface InboxNames {
  /** Its place in the control API and, with a slash on either side, the path that is posted to. */
  readonly name: string;
  /** As a person reads it. */
  readonly title: string;
}

/**
 * A stand-in for an HTTP endpoint of any company: takes a JSON object by `POST /<name>/`, and a
 * repeated `Idempotency-Key` once.
 */
export function createInbox({ name, title }: InboxNames, now: () => number): Provider {
  const faults = createFaultSwitch(wireFaults);
  const deliveries = createDeliveryLog();
  const path = `/${name}/`;

  function answerOf(request: ReceivedRequest, fault: Fault<(typeof wireFaults)[number]>): Answer {
    const { kind, retryAfterSeconds } = fault;
    if (kind === "500" || kind === "503") return jsonAnswer(Number(kind), { error: "unavailable" });
    if (kind === "429") {
      const answer = jsonAnswer(429, { error: "rate_limited" });
      return { ...answer, headers: { ...answer.headers, "retry-after": `${retryAfterSeconds}` } };
    }
    if (request.method !== "POST") return jsonAnswer(405, { error: "method_not_allowed" });
    if (readContent(request) === undefined) return jsonAnswer(400, { error: "invalid_json" });
    return jsonAnswer(202, { accepted: true });
  }

  function receive(request: ReceivedRequest): Reaction {
    const fault = faults.next();
    const answer = fault.kind === "dead" ? undefined : answerOf(request, fault);
    const key = request.headers["idempotency-key"];
    const setStatus = deliveries.add({
      receivedAt: new Date(now()).toISOString(),
      idempotencyKey: typeof key === "string" ? key : null,
      body: readContent(request) ?? request.body,
      fault: fault.kind,
      accepted: answer?.status === 202,
    });
    if (answer === undefined) return "reset";
    const delayMs = fault.kind === "slow" ? fault.delayMs : 0;
    return { answer, delayMs, answered: () => setStatus(answer.status) };
  }

  return {
    name,
    owns: (candidate) => candidate === path,
    receive,
    controls: {
      fault: faults.control,
      messages: { GET: () => ({ messages: deliveries.list() }), DELETE: () => deliveries.clear() },
    },
    view: (origin) => viewDeliveries(deliveries.list(), { name, title }, origin),
  };
}

function readContent(request: ReceivedRequest): Readonly<Record<string, unknown>> | undefined {
  try {
    const content: unknown = JSON.parse(request.body);
    return isRecord(content) ? content : undefined;
  } catch {
    return undefined;
  }
}
