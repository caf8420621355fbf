import { outgoingOf, type RequestOptions } from "./call.ts";
import { backoffMs } from "./backoff.ts";
import { sleep } from "./clock.ts";
import { EventParser, type ServerSentEvent } from "./event-parser.ts";
import { exchange, type OpenAnswer } from "./exchange.ts";
import { retryWaitMs } from "./retry.ts";
import type { Settings } from "./settings.ts";
import { requireMediaType, textChunks } from "./text-chunks.ts";

const mediaType = "text/event-stream";
const noContent = 204;

/** What a stream of events may be given. */
export interface EventsOptions extends Omit<RequestOptions, "body" | "idempotencyKey"> {
  /** Resumes after this event; default: from where the server begins. */
  readonly lastEventId?: string;
}

/**
 * The events of a stream. When it ends, breaks or falls silent, connects again after the last event
 * that was handed out. Ends when the server says that there is nothing more (204).
 * @throws {ApiError} when it cannot connect: at once for a refusal, else after as many attempts in a
 * row as a call has.
 */
export async function* readEvents(
  settings: Settings,
  path: string,
  { lastEventId = "", ...options }: EventsOptions,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const { signal } = options;
  const resume = { lastEventId, retryMs: 0 };
  let failures = 0;
  for (;;) {
    let waitMs: number;
    try {
      const answer = await connect(settings, path, options, resume.lastEventId);
      if (answer === undefined) return;
      failures = 0;
      yield* eventsOf(answer, resume, signal);
      waitMs = resume.retryMs + backoffMs(1, settings.random);
    } catch (error) {
      failures += 1;
      const backoff = retryWaitMs(error, failures, settings.random);
      if (backoff === undefined || failures >= settings.attempts) throw error;
      waitMs = Math.max(resume.retryMs, backoff);
    }
    await sleep(settings.clock, waitMs, signal);
  }
}

interface Resume {
  lastEventId: string;
  retryMs: number;
}

/** Undefined when the server has nothing more to say. */
function connect(
  settings: Settings,
  path: string,
  options: RequestOptions,
  lastEventId: string,
): Promise<OpenAnswer | undefined> {
  const outgoing = outgoingOf(settings, "GET", path, options, {
    accept: mediaType,
    ...(lastEventId === "" ? {} : { "last-event-id": lastEventId }),
  });
  return exchange(settings, outgoing, async (opened) => {
    opened.watchdog.rest();
    if (opened.response.status === noContent) return undefined;
    requireMediaType(opened.response, mediaType);
    return opened;
  });
}

async function* eventsOf(
  answer: OpenAnswer,
  resume: Resume,
  signal: AbortSignal | undefined,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const parser = new EventParser(resume.lastEventId);
  for await (const chunk of textChunks(answer, signal)) {
    for (const event of parser.push(chunk)) {
      resume.lastEventId = event.id;
      yield event;
    }
    resume.lastEventId = parser.lastEventId;
    resume.retryMs = parser.retryMs ?? resume.retryMs;
  }
}
