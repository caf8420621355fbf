import { answerInvalid } from "./api-error.ts";
import { brokenExchange, type OpenAnswer } from "./exchange.ts";

/**
 * The body of an answer as text, piece by piece as it arrives. Leaving the loop closes the
 * connection; a reader that takes its time is not a silent server.
 * @throws {ApiError} `timeout` after a silence, `connection_failed` when the connection breaks.
 */
export async function* textChunks(
  { response, watchdog }: OpenAnswer,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      watchdog.watch();
      const { value, done } = await reader.read();
      watchdog.rest();
      if (done) break;
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } catch (error) {
    throw brokenExchange(error, signal, watchdog);
  } finally {
    watchdog.rest();
    // Nobody waits for it: what is left of the body is of no interest, nor is how its end went.
    void reader.cancel().catch(() => undefined);
  }
}

/** @throws {ApiError} `answer_invalid` unless the answer has this media type. */
export function requireMediaType(response: Response, mediaType: string): void {
  const found = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "none";
  if (found === mediaType) return;
  void response.body?.cancel().catch(() => undefined);
  throw answerInvalid(`The answer has the media type ${found}, not ${mediaType}`, response);
}
