import { Readable } from "node:stream";

import type { Clock, Log } from "../kernel/index.ts";
import type { StreamFormat } from "./stream-reply.ts";

/** Text that is gathered before it is written: a write per value would cost more than the value. */
const gatheredChars = 16_384;
const keepAliveMs = 15_000;
const keepAlive = ": keep-alive\n\n";

/** What a streamed body is written with. */
export interface StreamParts {
  readonly format: StreamFormat;
  readonly write: (value: unknown) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** `values` as a body. Destroying it ends them. */
export function streamBody(values: AsyncIterable<unknown>, parts: StreamParts): Readable {
  const texts =
    parts.format === "ndjson" ? gathered(values, parts) : eachWithKeepAlive(values, parts);
  return Readable.from(logged(texts, parts.log), {
    objectMode: false,
    highWaterMark: gatheredChars * 2,
  });
}

async function* gathered(
  values: AsyncIterable<unknown>,
  { write }: StreamParts,
): AsyncGenerator<string> {
  let text = "";
  for await (const value of values) {
    text += write(value);
    if (text.length < gatheredChars) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}

/** Each value at once, and a comment when there was none for a while: proxies close what is silent. */
async function* eachWithKeepAlive(
  values: AsyncIterable<unknown>,
  { write, clock }: StreamParts,
): AsyncGenerator<string> {
  const iterator = values[Symbol.asyncIterator]();
  try {
    let next = iterator.next();
    for (;;) {
      const result = await soonest(next, clock);
      if (result === undefined) {
        yield keepAlive;
        continue;
      }
      if (result.done === true) return;
      yield write(result.value);
      next = iterator.next();
    }
  } finally {
    await iterator.return?.();
  }
}

/** What `promise` brings, or undefined after {@link keepAliveMs}. */
async function soonest<T>(promise: Promise<T>, clock: Clock): Promise<T | undefined> {
  const silence = Promise.withResolvers<undefined>();
  const timer = clock.after(keepAliveMs, () => silence.resolve(undefined));
  try {
    return await Promise.race([promise, silence.promise]);
  } finally {
    timer.cancel();
  }
}

/** The status has left, so nobody but the log can be told of a failure. */
async function* logged(texts: AsyncIterable<string>, log: Log): AsyncGenerator<string> {
  try {
    yield* texts;
  } catch (error) {
    log.error({ error }, "a streamed answer broke off");
    throw error;
  }
}
