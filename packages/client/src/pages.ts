import { answerInvalid, type ApiError } from "./api-error.ts";
import { call, type Answer, type RequestOptions } from "./call.ts";
import type { Settings } from "./settings.ts";

interface Page {
  readonly data: readonly unknown[];
  readonly nextCursor: string | null;
}

/** The items of a list, page after page; the next page is fetched when the last item was taken. */
export async function* readList(
  settings: Settings,
  path: string,
  options: RequestOptions,
): AsyncGenerator<unknown, void, undefined> {
  let query = options.query ?? {};
  for (;;) {
    const answer = await call(settings, "GET", path, { ...options, query });
    if (!isPage(answer.body)) throw notAPage(answer);
    const { data, nextCursor } = answer.body;
    yield* data;
    if (nextCursor === null) return;
    query = { ...query, cursor: nextCursor };
  }
}

function isPage(body: unknown): body is Page {
  const { data, nextCursor } = (body ?? {}) as Partial<Page>;
  return Array.isArray(data) && (nextCursor === null || typeof nextCursor === "string");
}

function notAPage({ status, headers }: Answer): ApiError {
  const message = "The answer is not a page of a list: it has no data with a nextCursor";
  return answerInvalid(message, { status, headers });
}
