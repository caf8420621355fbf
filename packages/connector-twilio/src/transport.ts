import { callProvider, type CallOptions } from "apiforge/resilience";
import twilio, { type Twilio } from "twilio";
import type { TwilioOptions } from "./options.ts";

type RequestOptions = Parameters<InstanceType<typeof twilio.RequestClient>["request"]>[0];

/**
 * The SDK's transport for one call, over APIForge's: time limit and signal cover the whole call,
 * and the answer stays at hand, because the SDK's errors leave its headers out.
 */
export class CallTransport extends twilio.RequestClient {
  answer: Response | undefined;
  readonly #call: CallOptions;
  readonly #signal: AbortSignal | undefined;

  constructor(call: CallOptions, signal: AbortSignal | undefined) {
    super({ keepAlive: false });
    this.#call = call;
    this.#signal = signal;
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the method that it overrides has it
  override async request<Data>(options: RequestOptions) {
    const answer = await callProvider(
      targetOf(options),
      requestInit(options, this.#signal),
      this.#call,
    );
    this.answer = answer;
    // The SDK parses text by itself.
    const body = (await answer.text()) as Data;
    return { statusCode: answer.status, body, headers: Object.fromEntries(answer.headers) };
  }
}

/** A transport for one call. */
export function newTransport(call: CallOptions, signal: AbortSignal | undefined): CallTransport {
  return new CallTransport(call, signal);
}

/** The SDK over one call's transport. */
export function newClient(
  { accountSid, authToken, baseUrl }: TwilioOptions,
  httpClient: CallTransport,
): Twilio {
  const client = twilio(accountSid, authToken, { httpClient, autoRetry: false });
  if (baseUrl !== undefined) client.api.baseUrl = baseUrl;
  return client;
}

function targetOf({ uri, params }: RequestOptions): URL | string {
  const query = formOf(params).toString();
  return query === "" ? uri : `${uri}?${query}`;
}

function requestInit(options: RequestOptions, signal: AbortSignal | undefined) {
  const { method, data, username = "", password = "" } = options;
  const headers = new Headers(
    Object.entries(options.headers ?? {}).map(([name, value]) => [name, value]),
  );
  const credentials = Buffer.from(`${username}:${password}`).toString("base64");
  headers.set("authorization", `Basic ${credentials}`);
  const body = method === "post" && typeof data === "object" ? formOf(data ?? {}).toString() : null;
  return { method: method.toUpperCase(), headers, body, signal: signal ?? null };
}

/** Names and values; absent ones are left out, as the SDK's own transport does. */
function formOf(fields: object = {}): URLSearchParams {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.append(name, String(value));
  }
  return form;
}
