import type { Exchange, UpstreamAnswer, UpstreamCall } from "../edge/index.ts";
import { reach } from "../kernel/index.ts";
import type { Attempt } from "./attempt.ts";
import { HeldBody } from "./body-sink.ts";
import { gatewayError } from "./errors.ts";
import { valueOf } from "./headers/raw-fields.ts";
import { defaultMaxReplyBytes, type HeldReply, type Shaping, type ShapedReply } from "./shaping.ts";
import { ShapedAnswer } from "./shaping-answer.ts";
import type { ShapedEnds } from "./shaping-call.ts";
import { answerInvalid, replacement } from "./shaping-errors.ts";

const keyFields: ReadonlySet<string> = new Set(["idempotency-key", "x-idempotency-key"]);
// What they answer says that the request was not looked at, or not let in.
const nothingDone: ReadonlySet<number> = new Set([408, 425, 429, 501, 503, 505]);
const recordedFields: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-location",
  "content-type",
  "etag",
  "last-modified",
  "link",
  "location",
  "retry-after",
  "vary",
]);

/** `headers` with the key that the upstream tells requests apart by, in the place of the caller's. */
export function withUpstreamKey(headers: readonly string[], call: UpstreamCall): string[] {
  const sent: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (!keyFields.has(name)) sent.push(name, headers[index + 1] ?? "");
  }
  sent.push("idempotency-key", call.upstreamKey);
  return sent;
}

/** The error of a request that was sent and never answered, for whoever sends it again. */
export function unknownOutcome(): Error {
  return gatewayError(
    "upstream_outcome_unknown",
    "A request with this idempotency key was sent to the service behind this route and never answered; it may have been done. Look before you send it again, under a new key",
  );
}

/** Goes on with `then` once `written`; what cannot be written is unknown to those who repeat it. */
export function afterwards(exchange: Exchange, written: Promise<void>, then: () => void): void {
  written
    .catch((error: unknown) => {
      exchange.log.warn({ err: error }, "what became of an upstream's call could not be recorded");
    })
    .then(then)
    .catch((error: unknown) => {
      exchange.log.error({ err: error }, "an upstream's answer could not be sent");
    });
}

/** A keyed request whose answer's head has come. */
export interface KeyedAnswer {
  readonly call: UpstreamCall;
  readonly shaping: Shaping | undefined;
  readonly attempt: Attempt;
  readonly exchange: Exchange;
  /** Asking again does no harm. */
  readonly isRepeatable: boolean;
  /** It was asked for before, and that may have been carried out. */
  readonly isRepeated: boolean;
}

/**
 * Records what an upstream answers to a keyed request, and lets it leave then. It is held whole for
 * that: a record of a half would be replayed as an answer.
 */
export function answerKeyed(keyed: KeyedAnswer, ends: ShapedEnds): void {
  const { call, shaping, attempt, exchange } = keyed;
  const invalid = (error: unknown): void =>
    afterwards(exchange, call.giveUp(), () => ends.refuse(error));
  const tooLarge = (): void => {
    attempt.abandon();
    invalid(answerInvalid(new TypeError("The answer is larger than what is held")));
  };
  const whole = (body: Buffer): void => {
    reach("upstream-answered");
    try {
      settle(keyed, body, ends);
    } catch (error) {
      invalid(error);
    }
  };
  const maxBytes = shaping?.maxReplyBytes ?? defaultMaxReplyBytes;
  if (Number(valueOf(attempt.fields, "content-length")) > maxBytes) return tooLarge();
  attempt.collect(new HeldBody(maxBytes, whole, tooLarge));
}

function settle(keyed: KeyedAnswer, body: Buffer, ends: ShapedEnds): void {
  const { shaping, attempt, exchange, isRepeatable } = keyed;
  const { status } = attempt;
  const fields = shaping?.fields(exchange, status, attempt.fields) ?? attempt.fields;
  const reply = replyOf(shaping, exchange, { status, fields, body });
  afterwards(exchange, settlement(keyed, reply), () => {
    reach("upstream-recorded");
    if (reply !== undefined) ends.answer(new ShapedAnswer(reply, ends.isPersonal));
    else ends.refuse(replacement(status, fields, isRepeatable));
  });
}

/** Undefined for an answer in whose place an error leaves. */
function replyOf(
  shaping: Shaping | undefined,
  exchange: Exchange,
  held: HeldReply,
): ShapedReply | undefined {
  const fate = shaping?.fateOf(held.status, held.fields) ?? "pass";
  if (fate === "pass") return held;
  return fate === "hold" ? shaping?.reply(exchange, held) : undefined;
}

function settlement(
  { call, shaping, attempt: { status }, isRepeated }: KeyedAnswer,
  reply: ShapedReply | undefined,
): Promise<void> {
  if (nothingDone.has(status)) return isRepeated ? call.giveUp() : call.release();
  if (status >= 500) return call.giveUp();
  if (reply !== undefined) return call.answer(recorded(reply, shaping));
  // A refusal leaves nothing behind that could be done twice; whatever else is no answer.
  return status >= 400 ? call.release() : call.giveUp();
}

function recorded(
  { status, fields, body }: ShapedReply,
  shaping: Shaping | undefined,
): UpstreamAnswer {
  const kept: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? "").toLowerCase();
    if (recordedFields.has(name) || shaping?.sets(name) === true)
      kept.push(name, fields[index + 1] ?? "");
  }
  return { status, fields: kept, body: Buffer.from(body) };
}
