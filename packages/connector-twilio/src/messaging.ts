import { resilienceError, type CallOptions } from "apiforge/resilience";
import type { Twilio } from "twilio";
import { twilioConnector } from "./connector.ts";
import { twilioError } from "./errors.ts";
import { checkOptions, type TwilioOptions } from "./options.ts";
import { parsePrice, type Price } from "./price.ts";
// Types only: the SDK takes about 100 ms and 35 MB to load, so that waits for the first call.
import type { CallTransport } from "./transport.ts";

/** A page of 50 messages is about 50 KB. */
const maxBodyBytes = 1_048_576;
const pageSize = 50;

/** A text message to be sent. */
export interface TextMessage {
  /** E.164. */
  readonly to: string;
  /** A number of the account. */
  readonly from: string;
  /** Up to 1,600 characters. */
  readonly body: string;
  /** Absolute URL that Twilio posts each change of status to. */
  readonly statusCallback?: string;
}

/** A message as Twilio knows it. */
export interface TwilioMessage {
  readonly sid: string;
  /** `queued`, `sent`, `delivered`, `undelivered`, `failed` …; Twilio may add others. */
  readonly status: string;
  readonly to: string;
  readonly from: string;
  readonly body: string;
  readonly segments: number;
  /** Undefined until Twilio knows it, which is some time after it was sent. */
  readonly price: Price | undefined;
  /** Twilio's number for why it was not delivered. */
  readonly errorCode: number | undefined;
  /** Epoch milliseconds, to the second. */
  readonly createdAt: number;
}

/** What a call may be given. */
export interface TwilioCallOptions {
  readonly signal?: AbortSignal;
}

/** The messages of one account. */
export interface TwilioMessaging {
  /**
   * Sends a message, once: the caller, usually a job, owns the retries. Twilio has no idempotency
   * keys for messages, so a message whose outcome stayed unknown ({@link mayHaveBeenSent}) may be
   * there already: look it up with {@link TwilioMessaging.findMessages} before sending it again.
   * `MaxPrice` is not offered, as Twilio ignores it since 2024-06-03.
   *
   * @throws {ApiForgeError} to be tried again: `provider_rate_limited` (with what Retry-After asks
   * for), `provider_error` (5xx), `provider_timeout`, `provider_unreachable` and
   * `provider_call_cancelled`; not to be tried again: the codes of {@link twilioErrors},
   * `provider_rejected` (other 4xx, with Twilio's number), `provider_answer_invalid` and
   * `provider_request_invalid`.
   */
  sendMessage(message: TextMessage, options?: TwilioCallOptions): Promise<TwilioMessage>;
  /** Reads a message; errors as of {@link TwilioMessaging.sendMessage}. */
  fetchMessage(sid: string, options?: TwilioCallOptions): Promise<TwilioMessage>;
  /** The latest messages from a sender to a recipient, newest first, 50 at most; errors as above. */
  findMessages(
    between: { readonly to: string; readonly from: string },
    options?: TwilioCallOptions,
  ): Promise<readonly TwilioMessage[]>;
}

/**
 * An account's messages behind the official SDK, over APIForge's transport and without the SDK's
 * own retries.
 * @throws {ApiForgeError} `provider_request_invalid` when account SID, auth token or base URL
 * cannot be one.
 */
export function createTwilioMessaging(options: TwilioOptions): TwilioMessaging {
  const { timeoutMs = 10_000, clock } = options;
  const call: CallOptions = { provider: twilioConnector.title, timeoutMs, maxBodyBytes, clock };
  checkOptions(options);

  /** One call by an SDK of its own: it hands on neither a signal nor the answer's headers. */
  async function run<T>(
    { signal }: TwilioCallOptions,
    work: (client: Twilio) => Promise<T>,
  ): Promise<T> {
    let transport: CallTransport | undefined;
    try {
      const { newTransport, newClient } = await import("./transport.ts");
      transport = newTransport(call, signal);
      return await work(newClient(options, transport));
    } catch (error) {
      throw twilioError(error, transport?.answer, clock);
    }
  }

  return {
    sendMessage: (message, callOptions = {}) =>
      run(callOptions, async (client) => toMessage(await client.messages.create({ ...message }))),
    fetchMessage: (sid, callOptions = {}) =>
      run(callOptions, async (client) => toMessage(await client.messages(sid).fetch())),
    findMessages: (between, callOptions = {}) =>
      run(callOptions, async (client) => {
        const page = await client.messages.page({ ...between, pageSize });
        return page.instances.map(toMessage);
      }),
  };
}

/** The parts of the SDK's message that are kept. */
interface SdkMessage {
  readonly sid: string;
  readonly status: string;
  readonly to: string;
  readonly from: string;
  readonly body: string;
  readonly numSegments: string;
  readonly price: string | null;
  readonly priceUnit: string;
  readonly errorCode: number | null;
  readonly dateCreated: Date;
}

function toMessage(message: SdkMessage): TwilioMessage {
  const { sid, status, to, from, body, errorCode } = message;
  if (typeof sid !== "string" || typeof status !== "string") {
    const text = "Twilio answered with something that is not a message";
    throw resilienceError("provider_answer_invalid", text);
  }
  return {
    sid,
    status,
    to,
    from,
    body,
    segments: Number(message.numSegments),
    price: parsePrice(message.price, message.priceUnit),
    errorCode: errorCode ?? undefined,
    createdAt: message.dateCreated.getTime(),
  };
}
