import { textAnswer, type Answer, type ReceivedRequest } from "../exchange.ts";
import { createFaultSwitch, wireFaults, type Fault } from "../faults.ts";
import type { Provider, Reaction } from "../provider.ts";
import { createRequestLog } from "../request-log.ts";
import {
  rateLimitedAnswer,
  webhookErrorAnswer,
  webhookErrorWords,
  type WebhookError,
} from "./errors.ts";
import type { MessageFields } from "./messages.ts";
import { createRateLimit } from "./rate-limit.ts";
import { viewMessages } from "./view.ts";
import { checkPath, checkPayload, readPayload, webhookName, type Payload } from "./webhook.ts";

type SlackFault = Fault<(typeof wireFaults)[number] | WebhookError>;

/** Slack's incoming webhooks: `POST /services/T…/B…/<token>`. */
export function createSlack(now: () => number): Provider {
  const faults = createFaultSwitch([...wireFaults, ...webhookErrorWords]);
  const messages = createRequestLog<MessageFields>();
  const rateLimit = createRateLimit(now);

  function answerOf(request: ReceivedRequest, payload: Payload | undefined, fault: SlackFault) {
    const refused = faultAnswer(fault);
    if (refused !== undefined) return refused;
    if (rateLimit.exceeds(request.path)) return rateLimitedAnswer(1);
    return webhookAnswer(request, payload);
  }

  function receive(request: ReceivedRequest): Reaction {
    const fault = faults.next();
    const payload = readPayload(request);
    const answer = fault.kind === "dead" ? undefined : answerOf(request, payload, fault);
    const posted = answer?.status === 200;
    const setStatus = messages.add(
      {
        receivedAt: new Date(now()).toISOString(),
        webhook: webhookName(request.path),
        headers: request.headers,
        body: payload ?? request.body,
        error: answer === undefined || posted ? null : errorWord(answer),
        fault: fault.kind,
        posted,
      },
      Buffer.byteLength(request.body),
    );
    if (answer === undefined) return "reset";
    const delayMs = fault.kind === "slow" ? fault.delayMs : 0;
    return { answer, delayMs, answered: () => setStatus(answer.status) };
  }

  return {
    name: "slack",
    owns: (path) => path.startsWith("/services/"),
    receive,
    controls: {
      fault: faults.control,
      "rate-limit": rateLimit.control,
      messages: { GET: () => ({ messages: messages.list() }), DELETE: () => messages.clear() },
    },
    view: (origin) => viewMessages(messages.list(), origin),
  };
}

function faultAnswer({ kind, retryAfterSeconds }: SlackFault): Answer | undefined {
  if (kind === "none" || kind === "slow" || kind === "dead") return undefined;
  if (kind === "429") return rateLimitedAnswer(retryAfterSeconds);
  if (kind === "500") return webhookErrorAnswer("rollup_error");
  if (kind === "503") return textAnswer(503, "service_unavailable");
  return webhookErrorAnswer(kind);
}

function webhookAnswer(request: ReceivedRequest, payload: Payload | undefined): Answer {
  if (request.method !== "POST") {
    const answer = textAnswer(405, "method_not_allowed");
    return { ...answer, headers: { ...answer.headers, allow: "POST" } };
  }
  const error =
    checkPath(request.path) ?? (payload === undefined ? "invalid_payload" : checkPayload(payload));
  return error === undefined ? textAnswer(200, "ok") : webhookErrorAnswer(error);
}

function errorWord(answer: Answer): string {
  return answer.status === 429 ? "rate_limited" : answer.body;
}
