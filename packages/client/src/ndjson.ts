import { answerInvalid } from "./api-error.ts";
import { outgoingOf, type RequestOptions } from "./call.ts";
import { exchange } from "./exchange.ts";
import { withRetries } from "./retry.ts";
import type { Settings } from "./settings.ts";
import { requireMediaType, textChunks } from "./text-chunks.ts";

const mediaType = "application/x-ndjson";

/**
 * The values of an NDJSON answer, as they arrive. Opening it is retried; a stream that breaks off
 * half-way throws, since reading it again from its start would give the first values twice.
 */
export async function* readNdjson(
  settings: Settings,
  path: string,
  options: RequestOptions,
): AsyncGenerator<unknown, void, undefined> {
  const { signal } = options;
  const outgoing = outgoingOf(settings, "GET", path, options, { accept: mediaType });
  const answer = await withRetries(settings, settings.attempts, signal, () =>
    exchange(settings, outgoing, async (opened) => {
      requireMediaType(opened.response, mediaType);
      opened.watchdog.rest();
      return opened;
    }),
  );
  let rest = "";
  for await (const chunk of textChunks(answer, signal)) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield* valueOf(line, answer.response);
  }
  yield* valueOf(rest, answer.response);
}

function valueOf(line: string, response: Response): readonly unknown[] {
  if (line.trim() === "") return [];
  try {
    return [JSON.parse(line)];
  } catch (error) {
    throw answerInvalid("A line of the stream is not JSON", response, error);
  }
}
