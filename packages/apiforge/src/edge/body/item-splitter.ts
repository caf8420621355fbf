/** Cuts a body that arrives in pieces into the bytes of its items. */
export interface ItemSplitter {
  /** Items that are complete with `piece`. Each is to be used before the next is asked for. */
  push(piece: Buffer): Iterable<Buffer>;
  /** What is left when the body has ended. */
  end(): Iterable<Buffer>;
}

/** Longest item in bytes; what memory an item without end can cost. */
export const maxItemBytes = 256 * 1_024;

const lineFeed = 0x0a;
const nothing = Buffer.alloc(0);

/** One item a line; lines of white space are none. */
export class LineSplitter implements ItemSplitter {
  readonly #refuseLong: () => Error;
  #rest: Buffer = nothing;

  /** @param refuseLong makes the error for an item that is too long. */
  constructor(refuseLong: () => Error) {
    this.#refuseLong = refuseLong;
  }

  *push(piece: Buffer): Iterable<Buffer> {
    const bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(lineFeed, start);
      if (end === -1) break;
      if (!isBlank(bytes, start, end)) yield bytes.subarray(start, end);
      start = end + 1;
    }
    this.#rest = bytes.subarray(start);
    if (this.#rest.length > maxItemBytes) throw this.#refuseLong();
  }

  *end(): Iterable<Buffer> {
    if (!isBlank(this.#rest, 0, this.#rest.length)) yield this.#rest;
  }
}

/** True for bytes that JSON knows as white space. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** True when there is only white space from `start` to `end`. */
export function isBlank(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!isSpace(bytes[at])) return false;
  return true;
}
