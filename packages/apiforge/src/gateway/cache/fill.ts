import type { AttemptEnd, BodyTap } from "../attempt.ts";

/** How much all fills of a cache may hold at a time. */
export class FillRoom {
  readonly maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Takes room; false when there is none left. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.maxBytes) return false;
    this.#bytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** How a body came: all of it, too much of it to be kept, or not to its end. */
export type FillEnd = Buffer | "too large" | Exclude<AttemptEnd, "whole">;

/** Calls `then` once a client has read what came for it, or is gone; at once where nearly all is read. */
export type WhenRead = (then: () => void) => void;

/** Holds an answer's body until all of it has come. */
export class Fill implements BodyTap {
  isAwaited = false;
  readonly #room: FillRoom;
  readonly #maxBytes: number;
  readonly #done: (end: FillEnd) => void;
  readonly #whenRead: WhenRead;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isOver = false;

  /**
   * @param whenRead tells when the client has what has come; it takes room until then.
   * @param done called once.
   */
  constructor(room: FillRoom, maxBytes: number, whenRead: WhenRead, done: (end: FillEnd) => void) {
    this.#whenRead = whenRead;
    this.#room = room;
    this.#maxBytes = maxBytes;
    this.#done = done;
  }

  data(chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#bytes + chunk.length > this.#maxBytes || !this.#room.take(chunk.length)) {
      return this.#end("too large");
    }
    this.#bytes += chunk.length;
    this.#chunks.push(chunk);
  }

  end(how: AttemptEnd): void {
    if (!this.#isOver) this.#end(how === "whole" ? this.#joined() : how);
  }

  /** A copy: what came is a part of a larger piece of memory, which would live on with it. */
  #joined(): Buffer {
    const whole = Buffer.allocUnsafeSlow(this.#bytes);
    let at = 0;
    for (const chunk of this.#chunks) at += chunk.copy(whole, at);
    return whole;
  }

  #end(end: FillEnd): void {
    this.#isOver = true;
    const bytes = this.#bytes;
    this.#whenRead(() => this.#room.giveBack(bytes));
    this.#chunks = [];
    this.#done(end);
  }
}
