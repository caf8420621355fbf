import type { ServerResponse } from "node:http";

import type { AnswerTurn, SelfWritten } from "../edge/index.ts";
import { responseHead } from "./headers/response-headers.ts";
import type { ShapedReply } from "./shaping.ts";

/** An answer whose body is made here, with the fields of its upstream. */
export class ShapedAnswer implements SelfWritten {
  readonly reply: ShapedReply;
  readonly #isPersonal: boolean;

  /** @param isPersonal what a caller sees must not be kept by caches, unless the answer says otherwise. */
  constructor(reply: ShapedReply, isPersonal: boolean) {
    this.reply = reply;
    this.#isPersonal = isPersonal;
  }

  /** @see {SelfWritten} */
  write(response: ServerResponse, own: readonly string[], isLast: boolean, turn: AnswerTurn): void {
    const { status, fields, body } = this.reply;
    const { headers, hasCacheControl } = responseHead(fields, own);
    if (this.#isPersonal && !hasCacheControl) headers.push("cache-control", "no-store");
    const hasBody = status !== 204 && status !== 304;
    if (isLast || !response.req.complete) headers.push("connection", "close");
    if (hasBody) headers.push("content-length", String(Buffer.byteLength(body)));
    response.writeHead(status, headers);
    const isSent = hasBody && response.req.method !== "HEAD" && body.length > 0;
    turn.add(() => void (isSent ? response.end(body) : response.end()));
  }
}
