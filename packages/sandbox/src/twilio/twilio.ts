import { randomBytes } from "node:crypto";
import { jsonAnswer, type Answer, type ReceivedRequest } from "../exchange.ts";
import { createFaultSwitch, wireFaults, type Fault } from "../faults.ts";
import type { Provider, Reaction } from "../provider.ts";
import { createRequestLog } from "../request-log.ts";
import {
  fetchAnswer,
  formOf,
  isAuthentic,
  listAnswer,
  messageError,
  messageOf,
  operationOf,
  sandboxAccount,
} from "./api.ts";
import { createCallbacks } from "./callbacks.ts";
import { errorAnswer, errorCodeOf, faultCodes } from "./errors.ts";
import { messageJson, type Message } from "./message.ts";
import { createMessageTable } from "./message-table.ts";
import { carrierFiltered, endingOf, type Ending } from "./numbers.ts";
import { createPricing } from "./pricing.ts";
import { createRateLimit } from "./rate-limit.ts";
import type { SendFields } from "./send-fields.ts";
import { viewTwilio } from "./view.ts";

// `lost`: the message is taken, and the connection breaks before the answer. `30007`: it is taken,
// and the carrier filters it.
const ownFaults = ["lost", "30007", ...faultCodes] as const;
type TwilioFault = Fault<(typeof wireFaults)[number] | (typeof ownFaults)[number]>;

/** Twilio's messages: `/2010-04-01/Accounts/{AccountSid}/Messages.json`, one account. */
export function createTwilio(now: () => number): Provider {
  const faults = createFaultSwitch([...wireFaults, ...ownFaults]);
  const requests = createRequestLog<SendFields>();
  const table = createMessageTable();
  const rateLimit = createRateLimit(now);
  const pricing = createPricing();
  const callbacks = createCallbacks(
    sandboxAccount.authToken,
    (message) => pricing.priceOf(message),
    now,
  );

  function take(message: Message, ending: Ending): Answer {
    table.add(message);
    callbacks.follow(message, ending);
    return jsonAnswer(201, messageJson(message));
  }

  function create(request: ReceivedRequest, fault: TwilioFault): Reaction {
    const form = formOf(request);
    const refusal = faultAnswer(fault, form["To"] ?? "") ?? refusalOf(form);
    const message =
      fault.kind === "dead" || refusal !== undefined ? undefined : messageOf(form, now());
    const setStatus = requests.add(
      {
        receivedAt: new Date(now()).toISOString(),
        // The auth token in it is the sandbox's own.
        headers: request.headers,
        form,
        errorCode: refusal === undefined ? null : codeIn(refusal),
        fault: fault.kind,
        sid: message?.sid ?? null,
      },
      Buffer.byteLength(request.body),
    );
    if (fault.kind === "dead") return "reset";
    const answer =
      refusal ?? (message === undefined ? undefined : take(message, fate(fault, form)));
    if (answer === undefined || fault.kind === "lost") return "reset";
    return later(answer, fault, () => setStatus(answer.status));
  }

  function refusalOf(form: Readonly<Record<string, string>>): Answer | undefined {
    const error = messageError(form);
    if (error !== undefined) return errorAnswer(error.code, error.about);
    if (rateLimit.exceeds()) return errorAnswer(20429, "", { "retry-after": "1" });
    return undefined;
  }

  function receive(request: ReceivedRequest): Reaction {
    if (!isAuthentic(request)) {
      return later(errorAnswer(20003, "", { "www-authenticate": 'Basic realm="Twilio API"' }));
    }
    const operation = operationOf(request);
    if (operation.kind === "refused") return later(errorAnswer(operation.code, request.path));
    if (operation.kind === "create") return create(request, faults.next());
    // Others read at any time; a fault that counts is meant for messages.
    const fault = faults.lasting();
    if (fault.kind === "dead" || fault.kind === "lost") return "reset";
    const answer =
      operation.kind === "list"
        ? listAnswer(request, table)
        : fetchAnswer(request.path, operation.sid, table);
    return later(wireAnswer(fault) ?? answer, fault);
  }

  return {
    name: "twilio",
    owns: (path) => path.startsWith("/2010-04-01/"),
    receive,
    controls: {
      fault: faults.control,
      "rate-limit": rateLimit.control,
      pricing: pricing.control,
      callbacks: callbacks.control,
      messages: {
        GET: () => ({ total: table.total, messages: requests.list() }),
        DELETE() {
          requests.clear();
          table.clear();
        },
      },
    },
    view: (origin) => viewTwilio(requests.list(), (sid) => table.find(sid), origin),
    stop: () => callbacks.stop(),
  };
}

function fate(fault: TwilioFault, form: Readonly<Record<string, string>>): Ending {
  return fault.kind === "30007" ? carrierFiltered : endingOf(form["To"] ?? "");
}

/** The refusal that a fault asks for. */
function faultAnswer(fault: TwilioFault, to: string): Answer | undefined {
  const code = errorCodeOf(fault.kind);
  return code === undefined ? wireAnswer(fault) : errorAnswer(code, to);
}

/** The answer of a fault that any request may meet. */
function wireAnswer({ kind, retryAfterSeconds }: TwilioFault): Answer | undefined {
  if (kind === "429") return errorAnswer(20429, "", { "retry-after": String(retryAfterSeconds) });
  if (kind === "500") return errorAnswer(20500);
  return kind === "503" ? errorAnswer(20503) : undefined;
}

function later(answer: Answer, fault?: TwilioFault, answered = (): void => undefined): Reaction {
  const headers = {
    ...answer.headers,
    "twilio-request-id": `RQ${randomBytes(16).toString("hex")}`,
    "twilio-concurrent-requests": "1",
  };
  const delayMs = fault?.kind === "slow" ? fault.delayMs : 0;
  return { answer: { ...answer, headers }, delayMs, answered };
}

function codeIn(answer: Answer): number {
  const { code } = JSON.parse(answer.body) as { code: number };
  return code;
}
