import { prefixBytes } from "../../edge/index.ts";

/** Looks how long the messages of a call are (grpc/grpc, doc/PROTOCOL-HTTP2.md), wherever its pieces are cut. */
export class MessageSizes {
  readonly #maxBytes: number;
  readonly #prefix = Buffer.alloc(prefixBytes);
  #known = 0;
  /** Of the message at hand. */
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True where the last piece ended with the end of a message. */
  get isBetween(): boolean {
    return this.#known === 0 && this.#left === 0;
  }

  /** False when a message begins in `piece` that is longer than it may be. */
  allow(piece: Buffer): boolean {
    let at = 0;
    while (at < piece.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, piece.length - at);
        this.#left -= taken;
        at += taken;
        continue;
      }
      const copied = piece.copy(this.#prefix, this.#known, at, at + prefixBytes - this.#known);
      this.#known += copied;
      at += copied;
      if (this.#known < prefixBytes) return true;
      this.#known = 0;
      this.#left = this.#prefix.readUInt32BE(1);
      if (this.#left > this.#maxBytes) return false;
    }
    return true;
  }
}
