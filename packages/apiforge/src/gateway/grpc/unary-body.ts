import type { IncomingMessage } from "node:http";

import { framed } from "../../edge/index.ts";
import { HeldBody } from "../body-sink.ts";
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
  const whole = (body: Buffer): void => {
    // Nothing at all is never compressed (connectrpc.com/docs/protocol).
    const flags = body.length > 0 && isCompressed(request.headers) ? compressedFlag : 0;
    ends.done(framed(flags, body));
  };
  const held = new HeldBody(maxBytes, whole, () => ends.tooLarge());
  request.on("data", (piece: Buffer) => held.take(piece));
  request.once("end", () => held.end());
}
