import type { Exchange, SelfWritten } from "../edge/index.ts";
import type { Attempt } from "./attempt.ts";
import { HeldBody } from "./body-sink.ts";
import { valueOf } from "./headers/raw-fields.ts";
import type { Shaping } from "./shaping.ts";
import { ShapedAnswer } from "./shaping-answer.ts";
import { answerInvalid, replacement } from "./shaping-errors.ts";
import { changedFields, checkedPath, checkedValue, shownFields } from "./shaping-hooks.ts";

/** How the request of a shaped answer goes on; one of them. */
export interface ShapedEnds {
  /** What the caller sees must not be kept by caches, unless the answer says otherwise. */
  readonly isPersonal: boolean;
  /** With the answer as it is written by `selfWritten`. */
  readonly answer: (selfWritten: SelfWritten) => void;
  readonly refuse: (error: unknown) => void;
}

/** More of a body that is of no use is not waited for. */
const maxDrainedBytes = 65_536;

/** Makes of an answer whose head has come what its route declares. */
export function shapeAnswer(
  shaping: Shaping,
  attempt: Attempt,
  exchange: Exchange,
  isRepeatable: boolean,
  ends: ShapedEnds,
): void {
  const { status } = attempt;
  try {
    attempt.fields = shaping.fields(exchange, status, attempt.fields);
  } catch (error) {
    attempt.abandon();
    return ends.refuse(error);
  }
  const { fields } = attempt;
  const fate = shaping.fateOf(status, fields);
  if (fate === "pass") return ends.answer(attempt);
  if (fate === "replace") {
    drain(attempt);
    return ends.refuse(replacement(status, fields, isRepeatable));
  }
  const whole = (body: Buffer): void => {
    try {
      const reply = shaping.reply(exchange, { status, fields, body });
      ends.answer(new ShapedAnswer(reply, ends.isPersonal));
    } catch (error) {
      ends.refuse(error);
    }
  };
  const tooLarge = (): void => {
    attempt.abandon();
    ends.refuse(answerInvalid(new TypeError("The answer is larger than what is held")));
  };
  const { maxReplyBytes } = shaping;
  if (Number(valueOf(fields, "content-length")) > maxReplyBytes) return tooLarge();
  attempt.collect(new HeldBody(maxReplyBytes, whole, tooLarge));
}

/** Lets a short body end, so that its connection can be used again. */
function drain(attempt: Attempt): void {
  attempt.collect(
    new HeldBody(
      maxDrainedBytes,
      () => undefined,
      () => attempt.abandon(),
    ),
  );
}

/** A request as it is sent to an upstream. */
export interface ShapedRequest {
  readonly path: string;
  readonly headers: string[];
  /** In the place of the body; undefined: as it is. */
  readonly body: Buffer | undefined;
}

// A part of an answer, or none, cannot be looked into.
const conditions: ReadonlySet<string> = new Set([
  "if-modified-since",
  "if-none-match",
  "if-range",
  "range",
]);

/**
 * Makes of a request what its route's hook says, and asks for an answer that can be looked into.
 * @throws what the hook throws, and {TypeError} for changes that cannot be made.
 */
export function shapeRequest(
  shaping: Shaping,
  exchange: Exchange,
  { path, headers }: Pick<ShapedRequest, "path" | "headers">,
): ShapedRequest {
  const own = shaping.requestFields?.applied(headers) ?? headers;
  const asked = shaping.looksInside ? askingForWhole(exchange, own) : own;
  const body = checkedValue(exchange);
  const changes = shaping.transformRequest?.({
    method: exchange.method,
    path,
    headers: shownFields(asked),
    body,
    principal: exchange.principal,
    request: exchange,
  });
  if (changes === undefined) return { path, headers: asked, body: undefined };
  if (changes.body !== undefined && body === undefined) {
    throw new TypeError("A hook changes the body of a request that has no schema");
  }
  return {
    path: changes.path === undefined ? path : checkedPath(changes.path),
    headers: changedFields(asked, changes),
    body: changes.body === undefined ? undefined : Buffer.from(JSON.stringify(changes.body)),
  };
}

function askingForWhole({ method }: Exchange, headers: readonly string[]): string[] {
  const reads = method === "GET" || method === "HEAD";
  const asked: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? "";
    if (name === "accept-encoding" || (reads && conditions.has(name))) continue;
    asked.push(name, headers[index + 1] ?? "");
  }
  asked.push("accept-encoding", "identity");
  return asked;
}
