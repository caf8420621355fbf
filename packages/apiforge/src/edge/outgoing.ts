import type { Answer } from "../durable/index.ts";
import type { SelfWritten } from "./relay.ts";
import type { StreamKind } from "./stages/shape.ts";

/** An answer on its way out. */
export interface Outgoing {
  readonly answer: Answer;
  /** Log position of its commit; undefined where nothing was committed. */
  readonly seq: number | undefined;
  /** It is the recorded answer of an earlier request. */
  readonly isReplay: boolean;
  /** What is written behind the answer's head instead of its body. */
  readonly stream?: { readonly values: AsyncIterable<unknown>; readonly kind: StreamKind };
  /** Writes the answer instead; of {@link answer} its status counts. */
  readonly selfWritten?: SelfWritten;
}

/** An answer that no commit stands behind. */
export function plainAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body = "",
): Outgoing {
  return { answer: { status, headers, body }, seq: undefined, isReplay: false };
}
