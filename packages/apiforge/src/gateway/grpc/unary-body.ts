import type { IncomingMessage } from "node:http";

import { framed } from "../../edge/index.ts";
import { isCompressed } from "./connect-fields.ts";

const compressedFlag = 1;

/** What becomes of a body; one of them, once, and neither when its client goes before its end. */
export interface UnaryEnds {
  /** @param message as gRPC frames it. */
  done(message: Buffer): void;
  tooLarge(): void;
}

/** Reads a body that is one message. */
export function takeMessage(request: IncomingMessage, maxBytes: number, ends: UnaryEnds): void {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let isOver = false;
  request.on("data", (piece: Buffer) => {
    if (isOver) return;
    bytes += piece.length;
    if (bytes <= maxBytes) return void pieces.push(piece);
    isOver = true;
    pieces.length = 0;
    ends.tooLarge();
  });
  request.once("end", () => {
    if (isOver) return;
    // Nothing at all is never compressed (connectrpc.com/docs/protocol).
    const flags = bytes > 0 && isCompressed(request.headers) ? compressedFlag : 0;
    ends.done(framed(flags, Buffer.concat(pieces)));
  });
}
